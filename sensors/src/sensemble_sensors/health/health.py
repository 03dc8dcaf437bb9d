"""The faults of one open sensor, found in its samples: frozen pictures, silence, a clock that jumps."""

import math
from collections import deque
from typing import NamedTuple

from sensemble_sensors.clock import ROUNDING, RunningTime
from sensemble_sensors.kinds.checks import Symptom
from sensemble_sensors.kinds.kind import Kind
from sensemble_sensors.kinds.registry import KINDS, kind_of
from sensemble_sensors.sensor import STEP, Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import BACKLOG, DRIFTS, FLOOD, Thresholds

_LEAST = 3.0  # missing samples, at least, before a slow sensor counts as stalled
_GRAIN = 1e-3  # of the time over which a rate is measured: two counts closer than this are merged


class _Count(NamedTuple):
    """The `total` number of samples up to one, its own `time`, and its arrival."""

    time: float
    arrival: float
    total: int


class Health:
    """Watches the samples of one open sensor, for one thread.

    Args:
        now: when it was opened, in seconds of `time.monotonic`.
        suspected: the faults when it was last closed. They count until nothing was found for the longest
            threshold: a camera that freezes for ever looks healthy in its first seconds, every time.

    Attributes:
        stalled: no samples come any more; no library reports that.
        must_reopen: the sensor is stalled, or was unhealthy for too long.
    """

    def __init__(
        self, spec: InputSpec, thresholds: Thresholds, now: float, suspected: tuple[str, ...] = ()
    ) -> None:
        self.stalled = self.must_reopen = False
        self._spec = spec
        self._limits = thresholds
        self._kind = kind_of(spec)
        self._checks = self._kind.checks(spec, thresholds)
        slow = _LEAST / spec.rate if self._kind.continuous else 0.0
        self._silence = max(thresholds.stalled, slow)  # seconds after which the sensor is stalled
        self._nothing = f"nothing came for {self._silence:g} s"
        # No sensor can give samples from long before it was opened.
        self._earliest = 0.0 if "late" in thresholds.doubted else now - thresholds.late
        self._arrival = now  # of the last sample
        self._ran = RunningTime()
        self._ran_then = self._ran.look(now)  # when the last sample arrived
        self._last: Sample | None = None
        self._since: dict[str, float] = {}  # by finding, since when its symptom has held without a break
        self._until: dict[str, float] = {}  # by finding, when it expires
        self._doubts: dict[str, float] = {}  # the same, of findings that are only reported
        self._counts: deque[_Count] = deque()  # since a cut
        self._arrivals: deque[float] = deque(maxlen=round(FLOOD * self._kind.flood / Kind.flood))
        self._unhealthy: float | None = None  # since when
        self._suspected = set(suspected)
        self._longest = thresholds.longest
        self._trusted = now + self._longest  # when the suspicions no longer count
        self._lags: deque[tuple[float, float]] = deque()  # (arrival, how late) of the last samples
        self._apart = math.inf  # the least distance behind the partner so far
        partner = KINDS[self._kind.partner].noun if self._kind.partner else ""
        self._drifts = f"it drifts, {thresholds.drift:g} s behind the {partner}"

    @property
    def lag(self) -> float | None:
        """Seconds from capture to arrival, the least of the last half second; None before that is known."""
        # The least delay is the source's own, as in the clock filter of NTP (RFC 5905, Sec. 10).
        lags = self._lags
        return min(lag for _, lag in lags) if lags and lags[-1][0] - lags[0][0] >= BACKLOG else None

    @property
    def doubts(self) -> tuple[str, ...]:
        """Findings that are only reported (`Thresholds.doubted`), sorted, as of the last `check`."""
        return tuple(sorted(self._doubts))

    def check(self, sample: Sample | None, now: float, partner_lag: float | None = None) -> tuple[str, ...]:
        """Examine the next sample (None where none came) and return the sensor's faults, sorted.

        `now` is its arrival, or the time at which it was awaited; `partner_lag` the `lag` of the sensor of
        the partner kind: the camera's for a microphone, and the other way round.
        """
        ran = self._ran.look(now)
        if sample is None:
            self.stalled = self._kind.steady and ran - self._ran_then >= self._silence - ROUNDING
            if self.stalled:
                self._find(self._nothing, now)
        else:
            if sample.cut:
                self._counts.clear()
                self._last = None
            self._arrivals.append(now)
            many = len(self._arrivals) == self._arrivals.maxlen and now - self._arrivals[0] < 1
            self._judge(Symptom("it floods", many, self._limits.flood), now)
            if self._longest:  # otherwise every check of the data is off
                for symptom in self._checks.examine(sample, self._last):
                    self._judge(symptom, now)
            self._time(sample, now, partner_lag)
            self._arrival, self._ran_then = now, ran
            self.stalled = False
            self._until.pop(self._nothing, None)
        if sample is not None or self._kind.steady:  # captions recover with the next one only
            self._until = {finding: until for finding, until in self._until.items() if until > now}
            self._doubts = {finding: until for finding, until in self._doubts.items() if until > now}
        self._unhealthy = (self._unhealthy if self._unhealthy is not None else now) if self._until else None
        unhealthy = now - self._unhealthy if self._unhealthy is not None else 0.0
        self.must_reopen = self.stalled or (sample is not None and unhealthy >= self._limits.reopen)
        if self._until:
            self._trusted = now + self._longest
        elif now >= self._trusted:
            self._suspected.clear()
        return tuple(sorted(self._suspected | self._until.keys()))

    def _find(self, finding: str, now: float, kind: str = "") -> None:
        (self._doubts if kind in self._limits.doubted else self._until)[finding] = now + self._limits.recovery

    def _judge(self, symptom: Symptom, now: float, kind: str = "") -> None:
        """Find a fault when its symptom has held for its time, at most `BACKLOG` of it before now."""
        finding, holds, seconds, clears = symptom
        if not holds:
            self._since.pop(finding, None)
            if clears:
                self._until.pop(finding, None)
                self._suspected.discard(finding)
        elif now - self._since.setdefault(finding, max(self._arrival, now - BACKLOG)) >= seconds:
            self._find(finding, now, kind)

    def _time(self, sample: Sample, now: float, partner_lag: float | None) -> None:
        limits = self._limits
        before = self._last.time if self._last is not None else self._earliest
        true = before - STEP <= sample.time <= now + STEP  # which NaN is not
        if true or sample.time < before:
            self._last = sample
        if not true:
            self._find("its clock jumps", now)
            self._counts.clear()
            self._lags.clear()
            return
        self._lags.append((now, now - sample.time))
        while len(self._lags) > 1 and now - self._lags[1][0] >= BACKLOG:
            self._lags.popleft()
        lag, late = self.lag, max(limits.late, 0.0 if self._kind.steady else self._spec.ttl)
        if lag is not None and lag > late:
            self._find(f"it is more than {late:g} s late", now, "late")
        if self._kind.partner:
            self._compare(lag, partner_lag, now)
        if self._kind.steady:
            self._count(sample, now)

    def _compare(self, lag: float | None, partner_lag: float | None, now: float) -> None:
        """Find a drift behind the partner; a constant distance does no harm."""
        behind = -math.inf if lag is None or partner_lag is None else lag - partner_lag
        self._apart = self._apart if behind == -math.inf else min(self._apart, max(behind, 0.0))
        drifts = behind - self._apart > self._limits.drift
        self._judge(Symptom(self._drifts, drifts, DRIFTS), now, "drift")

    def _count(self, sample: Sample, now: float) -> None:
        """Measure the rate over the last seconds since a cut, by the samples' times and by their arrival."""
        limits = self._limits
        before = self._counts[-1].total if self._counts else 0
        if len(self._counts) > 1 and sample.time - self._counts[-2].time < limits.rate * _GRAIN:
            self._counts.pop()  # otherwise a clock that stands still would fill the memory
        last = _Count(sample.time, now, before + self._checks.count(sample))
        self._counts.append(last)
        first = self._counts[0]
        if last.time - first.time < limits.rate:
            return
        spans = (last.time - first.time, max(now - first.arrival, _GRAIN))
        rates = [(last.total - first.total) / span for span in spans]
        # Wrong only if both are: samples that waited arrive in a rush, and the times of a sound server run
        # slow while the delay that it reports shrinks.
        symptom = self._checks.rate(rates)
        if symptom is not None:
            self._judge(symptom, now)
        while self._counts[-1].time - self._counts[0].time >= limits.rate:
            self._counts.popleft()
