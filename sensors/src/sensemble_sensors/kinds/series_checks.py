"""The health checks of a series."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.kinds.interfaces import Checks, Symptom
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import CLIPPED_SHARE, SETTLE, Thresholds

Rows = NDArray[np.float64]

_KNOWN = 20  # changes of a channel after which its usual pace is known
_LONG = 20  # times the usual distance of two changes, after which a channel is stuck
_BEYOND = 0.01  # of a range, by which rounding may exceed it
_ROWS = 2.0  # that a count of rows may be off by


class SeriesChecks(Checks):
    """Finds NaN, channels that are stuck, saturated or out of their range, and a wrong rate.

    A channel is stuck if it stays the same for `Thresholds.frozen` seconds and twenty times as long as it
    usually does: slow sensors repeat themselves. Three channels that never changed are stuck as well.
    """

    def __init__(self, spec: InputSpec, limits: Thresholds) -> None:
        self._rate, self._limits = spec.rate, limits
        self._names = [channel.name for channel in spec.channels]
        self._units = [channel.unit for channel in spec.channels]
        self._low = np.array([channel.low for channel in spec.channels])
        self._high = np.array([channel.high for channel in spec.channels])
        width = self._high - self._low
        self._slack = np.where(np.isfinite(width), _BEYOND * width, 0.0)
        count = len(self._names)
        self._rows = 0
        self._changes = np.zeros(count)
        self._changed = np.zeros(count)  # the row of each channel's last change
        self._saturated = np.zeros(count)  # the share of rows at an end of the range, of the last seconds

    def examine(self, sample: Sample, last: Sample | None) -> Iterator[Symptom]:
        """See `Checks`."""
        rows = np.asarray(sample.data, np.float64)
        if not len(rows):
            return
        if not np.isfinite(rows).all():
            yield Symptom("it holds NaN or infinity", holds=True)
            return
        yield from self._stuck(rows, None if last is None else np.asarray(last.data, np.float64)[-1:])
        outside = (rows < self._low - self._slack) | (rows > self._high + self._slack)
        beyond = np.asarray(outside.any(axis=0))
        if beyond.any():
            yield Symptom(f"{self._named(beyond)} out of range", holds=True)
        share = ((rows <= self._low) | (rows >= self._high)).mean(axis=0)
        weight = 1 - math.exp(-len(rows) / self._rate / self._limits.clipped)
        self._saturated += weight * (share - self._saturated)
        full = (self._saturated >= CLIPPED_SHARE) & ~beyond
        if full.any():
            yield Symptom(f"{self._named(full)} saturated", holds=True)

    def _stuck(self, rows: Rows, before: Rows | None) -> Iterator[Symptom]:
        steps = np.diff(rows if before is None else np.concatenate([before, rows]), axis=0) != 0
        first = self._rows + (1 if before is None else 0)
        self._rows += len(rows)
        self._changes += steps.sum(axis=0)
        places = first + np.arange(len(steps))[:, None]
        self._changed = np.maximum(self._changed, np.where(steps, places + 1, 0).max(axis=0, initial=0))
        same = self._rows - self._changed
        usual = np.where(self._changes > 0, self._changed / np.maximum(self._changes, 1), np.inf)
        long = max(self._limits.frozen * self._rate, _LONG)
        stuck = np.asarray((self._changes >= _KNOWN) & (same >= np.maximum(long, _LONG * usual)))
        if len(self._names) >= 3 and not self._changes.any() and self._rows >= long:
            stuck[:] = True
        if stuck.any():  # never where an infinite limit turns the check off
            yield Symptom(f"{self._named(stuck)} stuck", holds=True)

    def _named(self, which: NDArray[np.bool_]) -> str:
        """Return the channels in words, with the verb."""
        names = [name for name, chosen in zip(self._names, which, strict=True) if chosen]
        shown = "all channels" if len(names) == len(self._names) > 1 else ", ".join(names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 and shown != "all channels" else ""
        return f"{shown}{more} {'is' if len(names) == 1 else 'are'}"

    def count(self, sample: Sample) -> int:
        """See `Checks`."""
        return len(sample.data)

    def rate(self, rates: Sequence[float]) -> Symptom:
        """See `Checks`."""
        off = max(self._limits.sound_rate, _ROWS / (self._rate * self._limits.rate))
        wrong = all(abs(rate / self._rate - 1) > off for rate in rates)
        return Symptom(f"its rate is wrong, not {self._rate:g} Hz", wrong, SETTLE)
