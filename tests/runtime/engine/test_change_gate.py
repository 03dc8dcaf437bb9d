"""The change gate: noise and a steady hum are no change; a step aside, a word and a slow drift are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_runtime.engine.change_gate import ChangeGate
from sensemble_sensors.spec import InputSpec

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
    detector = ChangeGate(SPECS)
    assert detector.unchanged(modality, before) is None, "nothing was encoded yet"  # type: ignore[arg-type]
    detector.keep(modality, before, EMBEDDING)  # type: ignore[arg-type]
    assert (detector.unchanged(modality, after) is EMBEDDING) == same  # type: ignore[arg-type]


def test_a_slow_change_adds_up() -> None:
    detector = ChangeGate(SPECS)
    detector.keep("video", scene(), EMBEDDING)
    seen = [detector.unchanged("video", scene(shift)) is not None for shift in range(17)]
    assert seen[0]
    assert not seen[-1]
