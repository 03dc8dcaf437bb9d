"""The Sensor protocol: what a session needs of a camera, a microphone, a caption source or a replay."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.spec import InputSpec

STEP = 0.2
"""Seconds by which a sample's time may be ahead of the clock, or behind the sample before, for clocks jitter.
More is the clock's fault, and no window spans a longer step back."""

Media = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a sensor gives at one moment.

    Attributes:
        modality: `audio`, `text` or `video`.
        data: audio float32 [n] mono at the spec's rate in [-1, 1]; video uint8 [H, W, 3], RGB, at the spec's
            size; text a caption.
        time: when the last of `data` was captured, in seconds on the clock of `time.monotonic`.
        cut: the first sample of a new recording; no window spans it and what came before.
        lost: how many samples before it gave way to newer ones, because nobody read them in time.
    """

    modality: str
    data: Media | str
    time: float
    cut: bool = False
    lost: int = 0


class Sensor(Protocol):
    """A source of samples of one modality; one thread opens, reads and closes it."""

    modality: str
    name: str

    @property
    def live(self) -> bool:
        """Whether it captures what happens now; a film or a text is played, and its health proves nothing."""

    def open(self, spec: InputSpec) -> None:
        """Start capturing in the form that `spec` asks for.

        Raises:
            SensorUnavailableError: there is no such device, or it cannot be used; says what to do.
        """

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample, or None when none came within `timeout` seconds.

        Raises:
            SensorLostError: the device stopped working; opening it again may help.
            SensorEndedError: the source is finite and over.
        """

    def close(self) -> None:
        """Release the device; a closed sensor may be opened again. Closing twice is allowed."""


@runtime_checkable
class Driven(Sensor, Protocol):
    """A sensor with a thread that waits for the driver, so that `read` returns though the driver hangs."""

    @property
    def answered(self) -> float:
        """When the driver last answered, on the clock of `time.monotonic`; now while it owes no answer."""
