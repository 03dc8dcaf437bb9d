"""The time of capture by a source's own clock, for samples that arrive late."""

import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.devices.rows import Row
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.resampling import Resampler, Rows, Times
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_REMEMBERED = 200  # blocks of rows; the quickest tells the offset of the sender's clock
_LONGEST, _STEPS = 10.0, 20.0  # seconds of rows that may arrive at once, and steps of a slow series
_PATIENCE = 1.5  # seconds that rows may come without a sample; after three, a session has lost patience
_ENOUGH = 5  # steps between two rows that show their clock
_FAR = 30.0  # times the step of the spec's rate: another unit
_SLOW, _BEHIND = 2.0, 5.0  # seconds after which a clock must not be so many times too slow
_GRAIN = 0.05  # of a step, which a time must resolve
_UNITS = {1: "milliseconds", 2: "microseconds", 3: "nanoseconds"}


class SourceClock:
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
    """Makes samples of rows: those with times are brought to the spec's rate, others are taken to have it.

    Of rows that arrive at once it takes those of the last `longest` seconds. Raises BadDataError if rows come
    and their times place none, because they are in milliseconds, say.
    """

    def __init__(self, spec: InputSpec) -> None:
        self.longest = max(_LONGEST, _STEPS / spec.rate)
        self.patience = max(_PATIENCE, 2 / spec.rate)
        self.most = math.ceil(self.longest * spec.rate)
        self._modality, self._rate = spec.modality, spec.rate
        self._cut = True
        self._resampler = Resampler(spec.rate)
        self._clock = SourceClock(_REMEMBERED)
        self._end = 0.0  # the sender's time of the last row that was given
        self._began = 0.0, 0.0  # the sender's time and ours when the stretch without a hole began
        self._unplaced: deque[float] = deque(maxlen=_REMEMBERED)  # times of rows since the last sample
        self._waiting: float | None = None  # since when rows have come without a sample

    def rows(self, rows: Sequence[Row], now: float, lost: int = 0, *, cut: bool = False) -> Iterator[Sample]:
        """Yield the samples of rows that arrived at `now`, before which `lost` could not be read."""
        times = [row.time for row in rows if row.time is not None]
        data = np.array([row.values for row in rows], np.float32)
        if len(times) == len(rows):
            yield from self.timed(np.array(times), data, now, lost, cut=cut)
        else:
            early = max(len(data) - self.most, 0)
            yield self._sample(data[early:], now, now, cut=cut or early > 0, lost=lost + early)

    def timed(
        self,
        times: Times,
        data: Rows,
        now: float,
        lost: int = 0,
        *,
        cut: bool = False,
        sent: Times | None = None,
    ) -> Iterator[Sample]:
        """Yield samples of rows float32 [n, C] at the sender's `times`, in seconds, that arrived at `now`.

        If they were made of other rows, `sent` are the times of those.
        """
        recent = self._recent(times)
        lost += len(times) - len(recent)
        given = False
        for end, block, fresh in self._resampler.add(times[recent], data[recent]):
            paused = now - (now if self._waiting is None else self._waiting)
            # A sender may pause with its clock.
            begins = fresh or (paused > _SLOW and end - self._end < paused / _BEHIND)
            if begins:
                self._clock, self._began = SourceClock(_REMEMBERED), (end, now)
            given, self._end = True, end
            passed, rise = now - self._began[1], end - self._began[0]
            if passed > _SLOW and rise < passed / _BEHIND:
                raise BadDataError(f"time: it rises by {rise:.4g} in {passed:.4g} s; give seconds")
            yield self._sample(block, self._clock.read(end, now), now, cut=begins or cut, lost=lost)
            lost, cut = 0, False
        if not given:
            self._wait(times if sent is None else sent, now, whole=sent is None)

    def fits(self, times: Times) -> NDArray[np.bool_]:
        """Return which times may be right: they resolve the rate, and none is far from two that are near."""
        fine = np.asarray(np.spacing(np.abs(times)) * self._rate < _GRAIN)
        if len(times) > 2:
            one, two = (np.abs(times[by:] - times[:-by]) > self.longest for by in (1, 2))
            fine[1:-1] &= ~(one[:-1] & one[1:] & ~two)
            fine[0] &= not (one[0] and not one[1])
            fine[-1] &= not (one[-1] and not one[-2])
        return fine

    def _wait(self, times: Times, now: float, *, whole: bool) -> None:
        """Note rows of which no sample could be made; BadDataError if their times are at fault.

        Unless they are `whole`, they may wait for something else.
        """
        self._waiting = now if self._waiting is None else self._waiting
        self._unplaced.extend(times.tolist())
        steps = np.diff(np.array(self._unplaced))
        if len(steps) < _ENOUGH:
            return
        rising = np.sort(steps[steps > 0])
        advance = float(rising[:-1].sum()) / (
            len(steps) - 1
        )  # without the greatest, which may be one wrong time
        quick = advance * self._rate
        late, steady = now - self._waiting >= self.patience, 2 * len(rising) >= len(steps)
        if quick >= _FAR or (late and steady and (whole or quick * _FAR <= 1)):
            unit = _UNITS.get(round(math.log10(max(quick, 1)) / 3), "another unit")
            raise BadDataError(
                f"time: it rises by {advance:.4g} from row to row, and at {self._rate:g} Hz by "
                f"{1 / self._rate:.4g} s; give seconds{f' (is it in {unit}?)' if quick >= _FAR else ''}, or "
                "nanoseconds where the app does"
            )
        if late and not steady:
            raise BadDataError(
                f"time: it rises only {len(rising)} times in {len(steps)} rows; give each row its own time, "
                "with fractions of a second, or leave time out"
            )

    def _recent(self, times: Times) -> NDArray[np.intp]:
        """Return the indices of times that may be right, after the last restart, that are not too old."""
        fine = np.flatnonzero(self.fits(times))
        back = np.flatnonzero(np.diff(times[fine]) < -self.longest)
        fine = fine[back[-1] + 1 if len(back) else 0 :]
        return fine[times[fine] > times[fine[-1:]] - self.longest]

    def _sample(self, data: Rows, time: float, now: float, *, cut: bool, lost: int) -> Sample:
        cut, self._cut = cut or self._cut, False
        self._unplaced.clear()
        self._waiting = now
        return Sample(self._modality, data, time, cut, lost)
