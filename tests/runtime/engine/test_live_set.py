import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.change_detector import ChangeDetector
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from tests.runtime.stepped import LiveSet


def audio(end: float, seconds: float = 0.1, *, seed: int = 0) -> Sample:
    noise = np.random.default_rng(seed).uniform(-1, 1, round(seconds * 16000)).astype(np.float32)
    return Sample("audio", noise, end)


def frames(end: float, *, seed: int = 0) -> list[Sample]:
    images = np.random.default_rng(seed).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    return [Sample("video", image, end - 0.1 + 0.1 * i) for i, image in enumerate(images)]


def predicted(live_set: LiveSet, now: float, *samples: Sample) -> Prediction:
    """Push samples, and return the prediction of the step."""
    for sample in samples:
        live_set.push(sample)
    prediction = live_set.step(now)
    assert prediction is not None
    return prediction


def test_windows_that_are_pooled_end_within_the_skew(bundle: Bundle) -> None:
    live_set = LiveSet(bundle, Policy(skew=0.3))
    for modality in bundle.modalities:
        live_set.add(modality)
    together = predicted(live_set, 1.3, audio(1.0), Sample("text", "one", 0.2), *frames(1.2))
    assert together.live == ("audio", "text", "video"), "a caption holds, whenever it came"
    apart = predicted(live_set, 1.45, frames(1.4)[1])
    assert apart.live == ("text", "video"), "sound of 0.4 s before the picture is not pooled with it"
    again = predicted(live_set, 1.5, audio(1.3))
    assert again.live == ("audio", "text", "video")


def test_with_a_duty_what_does_not_change_is_not_encoded_again(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    real = bundle.encode
    monkeypatch.setattr(bundle, "encode", lambda m, window: encoded.append(m) or real(m, window))
    session = VirtualSession(bundle, Policy(duty=True))
    for modality in bundle.modalities:
        session.plug(modality, modality, 0.0)
    still = frames(0.0)[0].data

    def answered(now: float, *samples: Sample) -> Prediction:
        for sample in samples:
            session.give(sample, now)
        return [item for item in session.advance(now) if isinstance(item, Prediction)][-1]

    for i in range(1, 11):
        now = i / 10
        last = answered(now, audio(now, seed=i), Sample("video", still, now), Sample("text", "one", now))
    assert encoded.count("video") == encoded.count("text") == 1
    assert last.ages == pytest.approx(dict.fromkeys(bundle.modalities, 0.0)), "it counts as seen again"
    assert last.skipped["text"] == 9
    assert last.skipped["video"] == 8, "the first window has two frames"
    assert "video" not in last.latencies
    changed = answered(1.1, Sample("video", np.asarray(still) ^ 255, 1.1), Sample("text", "two", 1.1))
    assert changed.latencies.keys() >= {"text", "video"}


MEMORY = """
import sys
from dataclasses import replace
from pathlib import Path
from sensemble_runtime.bundle.bundle import Bundle

def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])

bundles = [Bundle.open(Path(sys.argv[1])) for _ in range(150)]
sizes = []
for _ in range(3):
    before = resident()
    for bundle in bundles:
        for modality in bundle.modalities:
            bundle.load(modality)
    loaded = resident()
    for bundle in bundles:
        for modality in bundle.modalities:
            bundle.unload(modality)
    sizes.append((before, loaded, resident()))
print(sizes[1:])  # the first round also loads libraries
"""


def test_when_a_modality_leaves_its_encoders_memory_is_returned(bundle_folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, bundle_folder], capture_output=True, text=True, check=True
    )
    for before, loaded, after in ast.literal_eval(run.stdout):
        assert loaded - before > 2000, "kB: there is something to return"
        assert after - before < 0.1 * (loaded - before)


def test_a_prediction_brings_its_audit(bundle: Bundle) -> None:
    live_set = LiveSet(bundle)
    for modality in bundle.modalities:
        live_set.add(modality)
    both = predicted(live_set, 1.0, audio(1.0), *frames(1.0))
    assert both.audited == bundle.manifest.audited["audio+video"]
    single = predicted(live_set, 9.0, Sample("text", "one", 9.0))
    assert (single.live, single.audited) == (("text",), None), "nobody has measured it"


EMBEDDING = np.ones(4, np.float32)
RNG = np.random.default_rng(0)
SPECS = {
    "audio": InputSpec("audio", "float32", (1, 16000), 16000, 1.0, 0.5, 2.0),
    "text": InputSpec("text", "int64", (1, 16), 0, 0.0, 0.0, 5.0),
    "video": InputSpec("video", "uint8", (1, 8, 64, 64, 3), 8, 1.0, 0.5, 2.0),
}


def hum(hertz: float, level: float) -> NDArray[np.float32]:
    wave = level * np.sin(2 * np.pi * hertz * np.arange(16000) / 16000) + RNG.normal(0, 1e-4, 16000)
    return wave.astype(np.float32)[None]


def scene(shift: int = 0, noise: float = 0.0) -> NDArray[np.uint8]:
    image = np.zeros((8, 64, 64, 3))
    image[:, 16:48, 8 + shift : 40 + shift] = 200
    return np.clip(image + RNG.normal(0, noise, image.shape), 0, 255).astype(np.uint8)[None]


@pytest.mark.parametrize(
    ("modality", "before", "after", "same"),
    [
        ("audio", hum(440, 0.1), hum(440, 0.11), True),
        ("audio", np.zeros((1, 16000), np.float32), hum(440, 1e-4), True),
        ("audio", hum(440, 0.1), hum(440, 0.3), False),
        ("audio", hum(440, 0.1), hum(2000, 0.1), False),
        ("audio", np.zeros((1, 16000), np.float32), hum(440, 0.1), False),
        ("video", scene(), scene(noise=4), True),
        ("video", scene(), scene(shift=16), False),
        ("text", "a door", "a door", True),
        ("text", "a door", "a dog", False),
    ],
)
def test_what_is_a_change(modality: str, before: object, after: object, *, same: bool) -> None:
    detector = ChangeDetector(SPECS)
    assert detector.unchanged(modality, before) is None, "nothing was encoded yet"  # type: ignore[arg-type]
    detector.keep(modality, before, EMBEDDING)  # type: ignore[arg-type]
    assert (detector.unchanged(modality, after) is EMBEDDING) == same  # type: ignore[arg-type]


def test_a_slow_change_adds_up() -> None:
    detector = ChangeDetector(SPECS)
    detector.keep("video", scene(), EMBEDDING)
    seen = [detector.unchanged("video", scene(shift)) is not None for shift in range(17)]
    assert seen[0]
    assert not seen[-1]
