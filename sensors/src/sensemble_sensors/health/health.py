"""Whether what a sensor gives can be true: pictures that freeze, silence, a clock that jumps.

The first half are pure functions of one sample; `Health` remembers what it needs to say how long that lasts.
"""

import math
from collections import deque
from typing import NamedTuple

from sensemble_sensors.kinds.kind import Symptom
from sensemble_sensors.kinds.registry import KINDS, kind_of
from sensemble_sensors.sensor import STEP, Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import BACKLOG, DRIFTS, Thresholds

_GRAIN = 1e-3  # of the time over which a rate is measured: two counts closer than this are merged


class _Count(NamedTuple):
    """How many samples there were in `total` up to one, its own `time`, and when it `came`."""

    time: float
    came: float
    total: int


class Health:
    """Watches the samples of one open sensor, for one thread.

    Args:
        spec: of the samples.
        thresholds: when the sensor counts as unwell.
        now: when it was opened, on the clock of `time.monotonic`.
        suspected: what was wrong when it was closed. It counts on until nothing was found for as long as the
            longest threshold: what is frozen for ever is well in its first seconds, each time anew.

    Attributes:
        stalled: whether nothing comes from it any more, which no library tells, and only this decides.
        hopeless: whether it should be opened anew: nothing comes, or it has been unwell for so long.
    """

    def __init__(
        self, spec: InputSpec, thresholds: Thresholds, now: float, suspected: tuple[str, ...] = ()
    ) -> None:
        self.stalled = self.hopeless = False
        self._spec = spec
        self._limits = thresholds
        self._kind = kind_of(spec.modality)
        self._checks = self._kind.checks(spec, thresholds)
        # What was captured long before it was opened, no sensor can give.
        self._earliest = 0.0 if "late" in thresholds.doubted else now - thresholds.late
        self._came = now  # when the last sample came
        self._last: Sample | None = None
        self._since: dict[str, float] = {}  # by condition, since when it has held without a break
        self._until: dict[str, float] = {}  # by finding, until when it counts
        self._doubts: dict[str, float] = {}  # the same, of what is only told
        self._counts: deque[_Count] = deque()  # since a cut
        self._arrivals: deque[float] = deque(maxlen=thresholds.flood_rate)
        self._unwell: float | None = None  # since when
        self._suspected = set(suspected)
        self._trusted = now + thresholds.longest  # when what is suspected no longer counts
        self._lags: deque[tuple[float, float]] = deque()  # (when it came, how late), of the last samples
        self._apart = math.inf  # how far it was behind the other, at least

    @property
    def lag(self) -> float | None:
        """Seconds from when samples were captured to when they came, at best; None before that is known.

        The least delay of late tells the source's own, as in the clock filter of NTP (RFC 5905, Sec. 10): the
        others waited on the way, or for a process that was busy.
        """
        lags = self._lags
        return min(lag for _, lag in lags) if lags and lags[-1][0] - lags[0][0] >= BACKLOG else None

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is wrong, sorted, but keeps nothing out (`Thresholds.doubted`), as of the last `check`."""
        return tuple(sorted(self._doubts))

    def check(self, sample: Sample | None, now: float, beside: float | None = None) -> tuple[str, ...]:
        """Look at what the sensor gave and return what is wrong with it, sorted; empty when it is well.

        Args:
            sample: None where nothing came.
            now: when it came, or did not.
            beside: the `lag` of the camera beside a microphone, or the other way round.
        """
        if sample is None:
            self.stalled = self._kind.steady and now - self._came >= self._limits.stalled
            if self.stalled:
                self._find(f"nothing came for {self._limits.stalled:g} s", now)
        else:
            if sample.cut:
                self._counts.clear()
                self._last = None
            self._arrivals.append(now)
            many = len(self._arrivals) == self._arrivals.maxlen and now - self._arrivals[0] < 1
            self._judge(Symptom("it floods", many, self._limits.flood), now)
            if self._limits.longest:  # otherwise every check of the data is off
                for symptom in self._checks.examine(sample, self._last):
                    self._judge(symptom, now)
            self._time(sample, now, beside)
            self._came = now
            self.stalled = False
        if sample is not None or self._kind.steady:  # of captions, only the next one shows that they are well
            self._until = {finding: until for finding, until in self._until.items() if until > now}
            self._doubts = {finding: until for finding, until in self._doubts.items() if until > now}
        self._unwell = (self._unwell if self._unwell is not None else now) if self._until else None
        unwell = now - self._unwell if self._unwell is not None else 0.0
        self.hopeless = self.stalled or (sample is not None and unwell >= self._limits.reopen)
        if self._until:
            self._trusted = now + self._limits.longest
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
                self._disprove(finding)
        elif now - self._since.setdefault(finding, max(self._came, now - BACKLOG)) >= seconds:
            self._find(finding, now, kind)

    def _disprove(self, finding: str) -> None:
        self._until.pop(finding, None)
        self._suspected.discard(finding)

    def _time(self, sample: Sample, now: float, beside: float | None) -> None:
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
            self._compare(lag, beside, now)
        if self._kind.steady:
            self._count(sample, now)

    def _compare(self, lag: float | None, beside: float | None, now: float) -> None:
        """See whether it falls behind the other; the distance at which it began does no harm."""
        behind = -math.inf if lag is None or beside is None else lag - beside
        self._apart = self._apart if behind == -math.inf else min(self._apart, max(behind, 0.0))
        limit, partner = self._limits.drift, KINDS[self._kind.partner].noun
        drifts = Symptom(f"it drifts, {limit:g} s behind the {partner}", behind - self._apart > limit, DRIFTS)
        self._judge(drifts, now, "drift")

    def _count(self, sample: Sample, now: float) -> None:
        """Measure the rate over the last seconds since a cut, by the samples' times and by when they came.

        It is wrong if both are: what waited comes in a rush, and where the delay that a sound server reports
        shrinks, its times run slow.
        """
        limits = self._limits
        before = self._counts[-1].total if self._counts else 0
        if len(self._counts) > 1 and sample.time - self._counts[-2].time < limits.rate * _GRAIN:
            self._counts.pop()  # or a clock that stands still would fill the memory
        last = _Count(sample.time, now, before + self._checks.count(sample))
        self._counts.append(last)
        first = self._counts[0]
        if last.time - first.time < limits.rate:
            return
        spans = (last.time - first.time, max(now - first.came, _GRAIN))
        rates = [(last.total - first.total) / span for span in spans]
        symptom = self._checks.rate(rates)
        if symptom is not None:
            self._judge(symptom, now)
        while self._counts[-1].time - self._counts[0].time >= limits.rate:
            self._counts.popleft()
