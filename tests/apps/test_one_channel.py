"""The whole way with a thermal camera alone: 16-bit films are trained on, run, recorded and audited."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_apps.console.kinds import kind_of
from sensemble_apps.errors import InputError
from sensemble_apps.running.sources import forms
from sensemble_apps.runs.audits import audits
from sensemble_runtime import Bundle, Prediction, Session
from sensemble_sensors import Camera, Recorded, Recording, Sample, read_dataset
from sensemble_sensors.recording.header import form_of
from sensemble_sensors.spec import Channel, declared

from .clips import FPS, SIZE
from .conftest import Sensemble

ROOM, BODY = 29500, {"well": 30300, "fever": 31900}  # hundredths of a kelvin
CHANNEL = Channel("temperature", "0.01 K", 27315, 32315)
SPLITS = {"pretrain": 6, "train": 6, "eval": 4}


def write_film(path: Path, warmth: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Write a second of a warm body somewhere in a room; return its pictures."""
    frames = np.full((FPS, SIZE, SIZE), ROOM + rng.integers(-200, 200), float)
    top, left = rng.integers(0, SIZE // 2, 2)
    frames[:, top : top + SIZE // 2, left : left + SIZE // 2] = warmth
    pictures = (frames + rng.normal(0, 20, frames.shape)).astype(np.uint16)
    with av.open(str(path), "w") as container:
        track: Any = container.add_stream("ffv1", rate=FPS, options={})
        track.width = track.height = SIZE
        track.pix_fmt = "gray16le"
        for i, picture in enumerate(pictures):
            shot = av.VideoFrame.from_ndarray(picture, format="gray16le")
            shot.pts, shot.time_base = i, Fraction(1, FPS)
            container.mux(track.encode(shot))
        container.mux(track.encode(None))
    return pictures


@pytest.fixture(scope="module")
def thermal(once: Callable[[str, Callable[[Path], None]], Path], sensemble: Sensemble) -> Path:
    """A folder with the dataset `data` and the run of its demo. Read only."""

    def run(base: Path) -> None:
        rng, lines, data = np.random.default_rng(0), [], base / "data"
        data.mkdir(parents=True)
        for split, count in SPLITS.items():
            for i in range(count):
                for label, warmth in BODY.items():
                    name = f"{split}-{label}-{i}"
                    write_film(data / f"{name}.mkv", warmth, rng)
                    labels = [] if split == "pretrain" else [label]
                    lines.append({"id": name, "split": split, "labels": labels, "thermal": f"{name}.mkv"})
        (data / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        bounds = [[CHANNEL.low, CHANNEL.high]]
        entry = {"kind": "frames", "channels": [CHANNEL.name], "units": [CHANNEL.unit], "ranges": bounds}
        (data / "modalities.json").write_text(json.dumps({"thermal": entry}))
        how = ("--effort", "0.5", "--fast", "--train-modalities", "thermal")
        result = sensemble("demo", "--data", data, "--out", base / "run", *how)
        assert result.returncode == 0, result.stderr

    return once("thermal", run)


def test_a_temperature_is_told_from_another(thermal: Path) -> None:
    spec = Bundle.open(thermal / "run" / "bundle").specs["thermal"]
    assert (spec.dtype, spec.shape[-1], spec.channels) == ("float32", 1, (CHANNEL,))
    assert audits(thermal / "run").scores["thermal"].accuracy >= 0.75
    assert "thermal" in (thermal / "run" / "report.html").read_text()
    readme = (thermal / "run" / "bundle" / "README.md").read_text()
    assert "temperature: 0 for 27315 or less, 1 for 32315 or more in 0.01 K" in readme
    assert "RGB" not in readme


def test_a_session_of_it_is_recorded_and_replayed_bit_for_bit(thermal: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(thermal / "run" / "bundle")
    film = tmp_path / "film.mkv"
    pictures = write_film(film, BODY["fever"], np.random.default_rng(7))
    given: list[Sample] = []
    out = tmp_path / "take"
    with (
        Recording(out, form_of(bundle.specs), declared=declared(bundle.specs.values())) as recording,
        Session(bundle) as session,
    ):

        def take(sensor: str, sample: Sample) -> None:  # noqa: ARG001
            given.append(sample)
            recording.put(sample)

        queue = session.listen(take)
        session.attach(Camera(film, modality="thermal"))
        live = [item for item in session.stream() if isinstance(item, Prediction)]
        session.unsubscribe(queue)
        assert queue.join(60)
    dataset = read_dataset(out)
    found = list(Recorded(out, dataset.examples).samples(bundle.specs))
    assert given
    assert len(found) == len(given)
    for one, other in zip(found, given, strict=True):
        assert one.data.dtype == np.uint16  # type: ignore[union-attr]
        np.testing.assert_array_equal(one.data, other.data)
        assert any(np.array_equal(np.asarray(one.data)[..., 0], picture) for picture in pictures)
    with Session(bundle) as session:
        session.replay(out)
        again = [item for item in session.stream() if isinstance(item, Prediction)]
    assert live
    assert again
    np.testing.assert_allclose(again[0].probabilities, live[0].probabilities, atol=1e-5)


def test_its_preview_is_a_grey_picture(thermal: Path) -> None:
    spec = Bundle.open(thermal / "run" / "bundle").specs["thermal"]
    picture = np.random.default_rng(0).integers(29000, 31000, (SIZE, SIZE, 1)).astype(np.uint16)
    shown = kind_of(spec).preview([Sample("thermal", picture, 0.0)], spec.rate)
    assert shown["picture"].startswith("data:image/jpeg;base64,")


def test_without_a_bundle_its_form_is_what_the_folder_declares(tmp_path: Path) -> None:
    declaration = {"kind": "frames", "channels": ["depth"], "ranges": [[200, 8000]]}
    (tmp_path / "modalities.json").write_text(json.dumps({"depth": declaration}))
    form = forms([("depth", "1")], tmp_path)["depth"]
    assert (form.dtype, form.shape, form.rate) == ("float32", (1, 30, 128, 128, 1), 30)
    del declaration["ranges"]
    (tmp_path / "modalities.json").write_text(json.dumps({"depth": declaration}))
    with pytest.raises(InputError, match="depth: pictures have one channel, with a range"):
        forms([("depth", "1")], tmp_path)
