"""The ring of kinds whose samples come at a steady rate: sound, series."""

import math
from abc import abstractmethod

import numpy as np

from sensemble_sensors.kinds.windows import Window, WindowRing
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec


class SteadyRing(WindowRing):
    """Windows of S steps, float32 [1, S, ...], of samples float32 [n, ...].

    The first window ends S steps after a cut, the others a hop apart.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        self._size = spec.shape[1]
        self._hop = max(1, round(spec.hop * spec.rate))
        # The newest window ends less than a hop before the newest sample.
        self._ring = np.zeros((self._size + self._hop, *spec.shape[2:]), dtype=np.float32)
        self._empty()

    @abstractmethod
    def _check(self, sample: Sample) -> None:
        """Raise SampleError if a sample is not of the spec's form."""

    def _seconds(self, sample: Sample) -> float:
        self._check(sample)
        return len(sample.data) / self._spec.rate

    def _empty(self) -> None:
        self._count = 0
        self._end = self._size - self._hop  # of the newest window, counted in samples as `_count` is

    @property
    def due(self) -> float | None:
        """See `WindowRing`."""
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
