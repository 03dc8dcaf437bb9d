"""The `Sensor` protocol and its samples."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.spec import InputSpec

# Seconds of jitter that a clock may have: how far a sample may be ahead of it, or behind the sample before.
# More is a fault of the clock, and no window spans a longer step back.
STEP = 0.2

MAX_CAPTION = 1 << 16  # of a caption, what is read: bytes between processes, characters where it is tokenized

Media = NDArray[np.uint8] | NDArray[np.float32]
Data = Media | NDArray[np.uint16] | str  # of a sample; a window is `Media`, or text


@dataclass(frozen=True, slots=True)
class Sample:
    """A piece of sound, a picture or a caption.

    Attributes:
        modality: the name of its stream, that of the spec its sensor was opened with.
        data: of a waveform: float32 [n], mono in [-1, 1] at the spec's rate; a frame: uint8 [H, W, 3] of the
            spec's size, or uint16 [H, W, 1] where the spec has a channel; a text: a caption.
        time: capture time of the end of `data`, in seconds of `time.monotonic`.
        cut: the stream starts again here; no window spans this sample and the one before it.
        lost: samples dropped just before it because they were not read in time.
    """

    modality: str
    data: Data
    time: float
    cut: bool = False
    lost: int = 0

    def frozen(self) -> Self:
        """Return the sample with read-only data; copy a writable array."""
        if not isinstance(self.data, np.ndarray) or not self.data.flags.writeable:
            return self
        data = self.data.copy()
        data.flags.writeable = False
        # Not `dataclasses.replace`, which takes four times as long.
        return type(self)(self.modality, data, self.time, self.cut, self.lost)


class Sensor(Protocol):
    """A source of samples of one modality; one thread opens, reads and closes it.

    It may also have `played`, true if it plays a file, of which only the clock is checked; and `pushed`, true
    if others send to it: to reopen it while they are silent would turn them away.
    """

    modality: str
    name: str

    def open(self, spec: InputSpec) -> None:
        """Start capturing in the form of `spec`; raise SensorUnavailableError, which says what to do."""

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample, or None after `timeout` seconds.

        A session copies a writable array, so a sensor may fill it again; a read-only array is shared and must
        never change. Raises SensorLostError when the device failed (reopening may help) and SensorEndedError
        at the end of a finite source.
        """

    def close(self) -> None:
        """Release the device; closing twice and reopening are allowed."""


def is_played(sensor: Sensor) -> bool:
    """Return whether a sensor plays a file; one that does not say so is a device."""
    return bool(getattr(sensor, "played", False))


def is_pushed(sensor: Sensor) -> bool:
    """Return whether others send to a sensor; one that does not say so is read."""
    return bool(getattr(sensor, "pushed", False))


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name, numbered if another sensor has it: `camera 0 (2)`."""
    names = (name if n == 1 else f"{name} ({n})" for n in count(1))
    return next(free for free in names if free not in taken)


@runtime_checkable
class Killable(Protocol):
    """A sensor in its own process, or a wrapper around one."""

    def kill(self) -> None:
        """End its process at once, from any thread; the next read finds the sensor lost."""


@runtime_checkable
class Driven(Sensor, Protocol):
    """A sensor whose own thread waits for the driver, so that `read` returns even if the driver hangs."""

    @property
    def answered(self) -> float:
        """The time of the driver's last answer; the present time while no answer is due."""
