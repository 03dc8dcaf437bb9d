"""The time of capture by a source's own clock, for samples that arrive late."""

import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from sensemble_sensors.devices.rows import Row
from sensemble_sensors.kinds.regular import Regular, Rows, Times
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_REMEMBERED = 200  # blocks of rows, of which the quickest tells the offset of the sender's clock


class Clock:
    """Maps a source's own time to `time.monotonic` by the least delayed of the last `memory` readings."""

    def __init__(self, memory: int) -> None:
        self._origins: deque[float] = deque(maxlen=memory)  # when the source's time began, by each reading
        self._last = -math.inf

    def read(self, position: float, time: float) -> float:
        """Return when the source's clock showed `position` seconds; `time` is the latest that it can be."""
        self._origins.append(time - position)
        self._last = max(self._last, min(self._origins) + position)
        return self._last


class RowClock:
    """Makes samples of rows: those with times are brought to the spec's rate, others are taken to have it."""

    def __init__(self, spec: InputSpec) -> None:
        self._modality = spec.modality
        self._cut = True
        self._regular = Regular(spec.rate)
        self._clock = Clock(_REMEMBERED)

    def rows(self, rows: Sequence[Row], now: float, lost: int = 0) -> Iterator[Sample]:
        """Yield the samples of rows that arrived at `now`, of which `lost` more could not be read."""
        times = [row.time for row in rows if row.time is not None]
        data = np.array([row.values for row in rows], np.float32)
        if len(times) == len(rows):
            yield from self.timed(np.array(times), data, now, lost)
        else:
            yield self._sample(data, now, lost=lost)

    def timed(self, times: Times, data: Rows, now: float, lost: int = 0) -> Iterator[Sample]:
        """Yield samples of rows float32 [n, C] at the sender's `times`, in seconds, that arrived at `now`."""
        for end, block, cut in self._regular.add(times, data):
            if cut:
                self._clock = Clock(_REMEMBERED)
            yield self._sample(block, self._clock.read(end, now), cut=cut, lost=lost)
            lost = 0

    def _sample(self, data: Rows, time: float, *, cut: bool = False, lost: int = 0) -> Sample:
        cut, self._cut = cut or self._cut or lost > 0, False
        return Sample(self._modality, data, time, cut, lost)
