"""A live sensor under conditions: its own samples, degraded, and late ones at their time."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

import numpy as np
from sensemble_sensors.degraded import Degraded, begin
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import condition_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

Studio = Any
Specs = Mapping[str, InputSpec]


def applied(modality: str, name: str, severity: int) -> Applied:
    return Applied(modality, condition_of(modality, name), severity)


class Reusing:
    """Pictures, each one brighter than the one before, in one array that is filled again and again."""

    modality = "video"
    name = "reusing"
    live = True

    def __init__(self) -> None:
        self.buffer = np.zeros((32, 32, 3), np.uint8)

    def open(self, spec: InputSpec) -> None:
        assert spec.modality == self.modality

    def read(self, timeout: float) -> Sample | None:  # noqa: ARG002
        self.buffer += 1
        return Sample("video", self.buffer, monotonic())

    def close(self) -> None:
        """Hold nothing."""


def test_a_picture_that_is_shown_again_is_the_one_of_before(specs: Specs) -> None:
    sensor = Degraded(Reusing(), [applied("video", "gaps", 5)])
    sensor.open(specs["video"])
    shown = [np.asarray(sample.data)[0, 0, 0] for _ in range(50) if (sample := sensor.read(1)) is not None]
    assert len(shown) == 50
    assert len(set(shown)) < 45, "of a line that loses half"


class Obedient(Reusing):
    """Noise, in pictures of the size that is asked for."""

    def open(self, spec: InputSpec) -> None:
        self.buffer = np.random.default_rng(0).integers(0, 256, spec.shape[2:], dtype=np.uint8)

    def read(self, timeout: float) -> Sample | None:  # noqa: ARG002
        return Sample("video", self.buffer, monotonic())


def test_a_camera_is_degraded_at_its_own_size_and_gives_the_windows(specs: Specs) -> None:
    camera, dark = Obedient(), applied("video", "dark", 1)
    sensor = Degraded(camera, [dark])
    sensor.open(specs["video"])
    assert camera.buffer.shape == (120, 120, 3)
    sample = sensor.read(1)
    assert sample is not None
    expected = begin([dark], specs["video"])(Sample("video", camera.buffer, 0.0))
    np.testing.assert_array_equal(sample.data, expected.data)
    assert np.shape(sample.data) == (32, 32, 3)
    Degraded(camera, [applied("audio", "quiet", 1)]).open(specs["video"])
    assert camera.buffer.shape == (32, 32, 3), "nothing degrades it"
