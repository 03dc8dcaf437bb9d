"""Rings that turn samples into windows, one a hop; samples alone decide when a window is complete."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.errors import SampleError
from sensemble_sensors.sensor import STEP, Media, Sample
from sensemble_sensors.spec import InputSpec

BLOCK = 0.1  # seconds of a sample that is played, or comes from a browser; a slow series has single rows


@dataclass(frozen=True, slots=True)
class Window:
    """The input of one encoder call: `data` of the spec's form, or a caption; `time` is that of its end."""

    data: Media | str
    time: float


class WindowRing(ABC):
    """A ring of one modality's samples, and the windows that they complete. For one thread at a time."""

    def __init__(self, spec: InputSpec) -> None:
        self.dropped = 0  # complete windows that were never encoded, because a newer one was complete
        self.lost = 0  # samples that were not read in time
        self._spec = spec
        self._longest_gap = max(spec.window, spec.hop)
        self._time = -math.inf  # of the newest sample
        self._complete = 0
        self._saved: Window | None = None

    @property
    def due(self) -> float | None:
        """The time at which the next window will end if samples keep their pace; None if unknown."""
        return None

    @property
    def end(self) -> float:
        """The time at which the newest complete window ends."""
        return self._saved.time if self._saved else self._end_time()

    @property
    def ready(self) -> bool:
        """True if a complete window waits."""
        return self._complete > 0

    def push(self, sample: Sample) -> None:
        """Add a sample; SampleError if it is not of the spec's form, or its time not finite.

        No window spans a cut, a step back in time of more than `STEP`, or a gap longer than a window and a
        hop; a window that was complete before is kept. A smaller step back counts as no step.
        """
        if not math.isfinite(sample.time):
            raise SampleError(f"{sample.modality}: its time is {sample.time}, which no clock shows")
        begin = sample.time - self._seconds(sample)
        back = sample.time < self._time - STEP
        if sample.cut or back or begin - self._time > self._longest_gap:
            self._saved = self._newest() if self.ready and self._saved is None else self._saved
            self._empty()
            self._time = sample.time
        self._time = max(self._time, sample.time)
        self.lost += sample.lost
        completed = self._append(sample)
        if completed:
            self._complete += completed
            self._saved = None

    def pop(self) -> Window | None:
        """Return the newest complete window that waits, or None; older ones are dropped."""
        if not self.ready:
            return None
        window = self._saved or self._newest()
        self.dropped += self._complete - 1
        self._complete = 0
        self._saved = None
        return window

    @abstractmethod
    def _seconds(self, sample: Sample) -> float:
        """Check the sample's form and return how long it lasts."""

    @abstractmethod
    def _empty(self) -> None:
        """Forget the samples."""

    @abstractmethod
    def _append(self, sample: Sample) -> int:
        """Add a checked sample and return how many windows it completes."""

    def _end_time(self) -> float:
        return self._time

    @abstractmethod
    def _newest(self) -> Window:
        """Copy the newest complete window out of the ring."""


class SteadyRing(WindowRing):
    """Windows of S steps, float32 [1, S, ...], of samples float32 [n, ...].

    The first window ends S steps after a cut, the others a hop apart. `check` raises SampleError for a sample
    that is not of the spec's form.
    """

    def __init__(self, spec: InputSpec, check: Callable[[Sample, InputSpec], None]) -> None:
        super().__init__(spec)
        self._check = check
        self._size = spec.shape[1]
        self._hop = max(1, round(spec.hop * spec.rate))
        # The newest window ends less than a hop before the newest sample.
        self._ring = np.zeros((self._size + self._hop, *spec.shape[2:]), dtype=np.float32)
        self._empty()

    def _seconds(self, sample: Sample) -> float:
        self._check(sample, self._spec)
        return len(sample.data) / self._spec.rate

    def _empty(self) -> None:
        self._count = 0
        self._end = self._size - self._hop  # of the newest window, counted in samples as `_count` is

    @property
    def due(self) -> float | None:
        if math.isinf(self._time):
            return None
        return self._time + (self._end + self._hop - self._count) / self._spec.rate

    def _append(self, sample: Sample) -> int:
        data = np.asarray(sample.data, dtype=np.float32)
        self._count += len(data)
        tail = data[-len(self._ring) :]
        at = (self._count - len(tail)) % len(self._ring)
        first = len(self._ring) - at
        self._ring[at : at + len(tail)] = tail[:first]
        self._ring[: max(0, len(tail) - first)] = tail[first:]
        completed = max(0, (self._count - self._end) // self._hop)
        self._end += completed * self._hop
        return completed

    def _newest(self) -> Window:
        at = (self._end - self._size) % len(self._ring)
        head = self._ring[at : at + self._size]
        data = np.concatenate([head, self._ring[: self._size - len(head)]])[None]
        return Window(data, self._end_time())

    def _end_time(self) -> float:
        return self._time - (self._count - self._end) / self._spec.rate


def blocks(rows: NDArray[np.float32], spec: InputSpec, end: float) -> Iterator[Sample]:
    """Yield rows [n, ...] that end at `end` as a device would have given them, in samples of 0.1 s."""
    size = max(1, round(BLOCK * spec.rate))
    for first in range(0, len(rows), size):
        block = rows[first : first + size]
        left = (len(rows) - first - len(block)) / spec.rate
        yield Sample(spec.modality, block, end - left, cut=first == 0)
