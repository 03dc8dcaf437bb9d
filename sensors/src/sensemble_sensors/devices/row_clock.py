"""Blocks of rows as samples of a series: at the spec's rate, on this process's clock."""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from sensemble_sensors.devices.rows import Row
from sensemble_sensors.kinds.regular import Regular, Rows, Times
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_REMEMBERED = 200  # blocks of which the quickest tells the offset of the sender's clock


class RowClock:
    """Makes samples of the rows of one open sensor.

    Rows with times are brought to the spec's rate by these, whatever rate they come at; rows without are
    taken to have it.
    """

    def __init__(self, spec: InputSpec) -> None:
        self._modality = spec.modality
        self._cut = True
        self._regular = Regular(spec.rate)
        self._offsets: deque[float] = deque(maxlen=_REMEMBERED)  # from the sender's clock to ours

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
                self._offsets.clear()
            self._offsets.append(now - end)
            yield self._sample(block, min(end + min(self._offsets), now), cut=cut, lost=lost)
            lost = 0

    def _sample(self, data: Rows, time: float, *, cut: bool = False, lost: int = 0) -> Sample:
        cut, self._cut = cut or self._cut or lost > 0, False
        return Sample(self._modality, data, time, cut, lost)
