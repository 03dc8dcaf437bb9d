"""Rows of numbers, each with a time, brought to a steady rate."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Times = NDArray[np.float64]

LARGEST = 1e15  # of a number: the square of a larger one may exceed float32, and every encoder squares
_DENSE = 0.75  # of a step: rows that lie closer than this are averaged, which keeps aliases out
STEPS, PAUSE = 5, 0.25  # a hole is longer than this many steps, and than this many seconds


def resampled(times: Times, rows: NDArray[np.floating], at: Times, step: float) -> Rows:
    """Return rows float32 at the times `at`, `step` seconds apart, of rows [n, C] at rising `times`.

    Rows that lie closer than `step` are averaged over it, others are interpolated; outside, the first and the
    last row are held.
    """
    if len(times) > 1 and (times[-1] - times[0]) / (len(times) - 1) < _DENSE * step:
        # The mean of a line through the rows, by its integral.
        area = np.diff(times)[:, None] * (rows[1:].astype(np.float64) + rows[:-1]) / 2
        area = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(area, axis=0)])
        low, high = (np.clip(at + side * step / 2, times[0], times[-1]) for side in (-1, 1))
        spans = np.maximum(high - low, 1e-12)[:, None]
        mean = (_columns(times, area, high) - _columns(times, area, low)) / spans
        inside = (high > low)[:, None]
        return np.where(inside, mean, _columns(times, rows, at)).astype(np.float32)
    return _columns(times, rows, at).astype(np.float32)


def _columns(times: Times, rows: NDArray[np.floating], at: Times) -> Times:
    return np.stack([np.interp(at, times, column) for column in rows.T], axis=1)


class Resampler:
    """Brings a stream of rows with times to a steady rate (Hz); a hole or a step back begins it again."""

    def __init__(self, rate: float) -> None:
        self._step = 1 / rate
        self._pause = max(PAUSE, STEPS * self._step)
        self._begin()

    def _begin(self) -> None:
        self._times = np.zeros(0)
        self._rows = np.zeros((0, 0), np.float32)
        self._next = 0.0  # the time of the next row to give
        self._cut = True

    def add(self, times: Times, rows: Rows) -> list[tuple[float, Rows, bool]]:
        """Add rows float32 [n, C] at `times`; return the complete ones of each stretch without a hole.

        Each is (time of the last row, rows at the rate, whether the stream begins there).
        """
        given = []
        before = self._times[-1:] if len(self._times) else times[:1]
        breaks = np.flatnonzero(np.abs(np.diff(times, prepend=before)) > self._pause)
        for number, part in enumerate(np.split(np.arange(len(times)), breaks)):
            if number:
                self._begin()
            if len(part):
                given += self._extend(times[part], rows[part])
        return given

    def _extend(self, times: Times, rows: Rows) -> list[tuple[float, Rows, bool]]:
        newest = self._times[-1:] if len(self._times) else np.array([-np.inf])
        rising = times > np.maximum.accumulate(np.concatenate([newest, times]))[:-1]
        times, rows = times[rising], rows[rising]
        if not len(times):
            return []
        if not len(self._times):
            self._rows, self._next = rows[:0], float(times[0])
        self._times = np.concatenate([self._times, times])
        self._rows = np.concatenate([self._rows, rows])
        until = self._times[-1] - self._step / 2  # a mean needs what comes after it
        count = int((until - self._next) / self._step) + 1 if until >= self._next else 0
        if not count:
            return []
        at: Times = self._next + self._step * np.arange(count, dtype=np.float64)
        data = resampled(self._times, self._rows, at, self._step)
        self._next = float(at[-1]) + self._step
        kept = max(0, int(np.searchsorted(self._times, self._next - self._step)) - 1)
        self._times, self._rows = self._times[kept:], self._rows[kept:]
        cut, self._cut = self._cut, False
        return [(float(at[-1]), data, cut)]
