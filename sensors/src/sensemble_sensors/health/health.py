"""Whether what a sensor gives can be true: pictures that freeze, silence, a clock that jumps.

The first half are pure functions of one sample; `Health` remembers what it needs to say how long that lasts.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.sensor import STEP, Sample
from sensemble_sensors.spec import InputSpec

_SETTLE = 1.0  # seconds for which a measured rate must stay wrong: streams begin with a jerk
_GRAIN = 1e-3  # of the time over which a rate is measured, that two counts are apart, or one of them goes
_BACKLOG = 0.5  # seconds in which what waited while nobody read is read; it says nothing of the sensor
_DRIFTS = 5.0  # seconds for which it must drift: a sound server's delay swells for two on a busy machine

_BLACK, _SILENT = "the picture is black", "the sound is silent"  # which one sample that is not disproves


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a sensor counts as unwell; what is infinite is never found.

    Attributes:
        stalled: seconds without a sample, of a camera or a microphone; it is closed then, and opened anew.
        frozen: seconds of pictures that are equal to the last bit.
        black: seconds of pictures with a mean below `black_level`, of 0 to 255; over with the first brighter.
        silent: seconds of sound that stays within `silent_level`, of 1; over with the first that does not: a
            gate in front of a microphone makes silence between words.
        clipped: seconds over which, on average, `clipped_share` of the sound reaches `clipped_level`, of 1.
        rate: seconds over which the rate is measured; it must stay wrong for one second more.
        sound_rate: relative error of the rate of sound.
        picture_rate: the least share of the spec's rate that a camera must give.
        flood: seconds of more than `flood_rate` samples a second.
        late: seconds by which samples may be behind the clock, for 0.5 s; captions: or their time to live.
        drift: seconds by which sound or pictures may fall further behind the other's than they were, for 5 s.
        recovery: seconds without a finding after which the sensor counts as well again.
        reopen: seconds of being unwell after which it is opened anew: that cures what a library repeats for
            ever, or shows that it is unplugged.
        doubted: what keeps nothing out, and is only told: `late`, `drift` or both.
    """

    stalled: float = 3.0
    frozen: float = 2.0
    black: float = 2.0
    black_level: float = 4.0
    silent: float = 3.0
    silent_level: float = 1e-4
    clipped: float = 1.0
    clipped_level: float = 0.99
    clipped_share: float = 0.1
    rate: float = 5.0
    sound_rate: float = 0.06
    picture_rate: float = 0.5
    flood: float = 2.0
    flood_rate: int = 150
    late: float = 3.0
    drift: float = 0.5
    recovery: float = 1.0
    reopen: float = 20.0
    doubted: frozenset[str] = frozenset()

    @property
    def longest(self) -> float:
        """Seconds in which whatever is wrong, and can be found, is found."""
        drift = _DRIFTS + _BACKLOG if self.drift < math.inf else math.inf
        waits = (self.stalled, self.frozen, self.black, self.silent, self.clipped, self.rate + _SETTLE)
        return max((wait for wait in (*waits, self.flood, drift) if wait < math.inf), default=0.0)


DEFAULT = Thresholds()
PLAYED = Thresholds(
    stalled=math.inf,
    frozen=math.inf,
    black=math.inf,
    silent=math.inf,
    clipped=math.inf,
    rate=math.inf,
    flood=math.inf,
    drift=math.inf,
    reopen=math.inf,
    doubted=frozenset({"late"}),
)
"""For what is played rather than captured: only its clock can be wrong, and what is late is kept."""


def is_black(picture: NDArray[np.uint8], level: float) -> bool:
    """Whether the mean of a picture, uint8 [H, W, 3], is below `level`, of 0 to 255."""
    return bool(picture.mean() < level)


def peak(wave: NDArray[np.float32]) -> float:
    """Return the greatest absolute value of sound, float32 [n]; NaN or infinite if it holds either."""
    return float(np.abs(wave).max(initial=0.0))


def clipped_share(wave: NDArray[np.float32], level: float) -> float:
    """Return which share of sound, float32 [n], reaches `level`, of 1."""
    return np.count_nonzero(np.abs(wave) >= level) / len(wave) if len(wave) else 0.0


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
        self._steady = spec.modality in ("audio", "video")
        # What was captured long before it was opened, no sensor can give.
        self._earliest = 0.0 if "late" in thresholds.doubted else now - thresholds.late
        self._came = now  # when the last sample came
        self._last: Sample | None = None
        self._since: dict[str, float] = {}  # by condition, since when it has held without a break
        self._loudness = 0.0  # the share of clipped sound, averaged over the last seconds
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
        return min(lag for _, lag in lags) if lags and lags[-1][0] - lags[0][0] >= _BACKLOG else None

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
            self.stalled = self._steady and now - self._came >= self._limits.stalled
            if self.stalled:
                self._find(f"nothing came for {self._limits.stalled:g} s", now)
        else:
            if sample.cut:
                self._counts.clear()
                self._last = None
            self._arrivals.append(now)
            many = len(self._arrivals) == self._arrivals.maxlen and now - self._arrivals[0] < 1
            self._lasts("many", self._limits.flood, now, "it floods", holds=many)
            if self._limits.longest:  # or nothing can be found in it
                self._examine(sample, now)
            self._time(sample, now, beside)
            self._came = now
            self.stalled = False
        if sample is not None or self._steady:  # of captions, only the next one shows that they are well
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

    def _lasts(self, condition: str, seconds: float, now: float, finding: str, *, holds: bool) -> None:
        """Find it when `condition` has held for so many seconds, at most `_BACKLOG` of them before now."""
        if not holds:
            self._since.pop(condition, None)
        elif now - self._since.setdefault(condition, max(self._came, now - _BACKLOG)) >= seconds:
            self._find(finding, now, condition)

    def _disprove(self, finding: str) -> None:
        self._until.pop(finding, None)
        self._suspected.discard(finding)

    def _examine(self, sample: Sample, now: float) -> None:
        limits, data = self._limits, sample.data
        if self._spec.modality == "video":
            picture = np.asarray(data, np.uint8)
            same = self._last is not None and np.array_equal(picture, np.asarray(self._last.data))
            dark = is_black(picture, limits.black_level)
            self._lasts("same", limits.frozen, now, "the picture is frozen", holds=same and not dark)
            self._lasts("dark", limits.black, now, _BLACK, holds=dark)
            if not dark:
                self._disprove(_BLACK)
        elif self._spec.modality == "audio":
            wave = np.asarray(data, np.float32)
            loudest = peak(wave)
            if not math.isfinite(loudest):
                self._find("the sound holds NaN or infinity", now)
                return
            quiet = loudest < limits.silent_level
            self._lasts("quiet", limits.silent, now, _SILENT, holds=quiet)
            if not quiet:
                self._disprove(_SILENT)
            share = clipped_share(wave, limits.clipped_level) if loudest >= limits.clipped_level else 0.0
            weight = 1 - math.exp(-len(wave) / self._spec.rate / limits.clipped)
            self._loudness += weight * (share - self._loudness)
            if self._loudness >= limits.clipped_share:
                self._find("the sound is clipped; turn it down", now)

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
        while len(self._lags) > 1 and now - self._lags[1][0] >= _BACKLOG:
            self._lags.popleft()
        lag, late = self.lag, max(limits.late, 0.0 if self._steady else self._spec.ttl)
        if lag is not None and lag > late:
            self._find(f"it is more than {late:g} s late", now, "late")
        if self._steady:
            self._compare(lag, beside, now)
            self._count(sample, now)

    def _compare(self, lag: float | None, beside: float | None, now: float) -> None:
        """See whether it falls behind the other; the distance at which it began does no harm."""
        behind = -math.inf if lag is None or beside is None else lag - beside
        self._apart = self._apart if behind == -math.inf else min(self._apart, max(behind, 0.0))
        limit, other = self._limits.drift, "sound" if self._spec.modality == "video" else "picture"
        finding = f"it drifts, {limit:g} s behind the {other}"
        self._lasts("drift", _DRIFTS, now, finding, holds=behind - self._apart > limit)

    def _count(self, sample: Sample, now: float) -> None:
        """Measure the rate over the last seconds since a cut, by the samples' times and by when they came.

        It is wrong if both are: what waited comes in a rush, and where the delay that a sound server reports
        shrinks, its times run slow.
        """
        limits, spec = self._limits, self._spec
        before = self._counts[-1].total if self._counts else 0
        if len(self._counts) > 1 and sample.time - self._counts[-2].time < limits.rate * _GRAIN:
            self._counts.pop()  # or a clock that stands still would fill the memory
        came = 1 + sample.lost if spec.modality == "video" else len(sample.data)
        last = _Count(sample.time, now, before + came)
        self._counts.append(last)
        first = self._counts[0]
        if last.time - first.time < limits.rate:
            return
        spans = (last.time - first.time, max(now - first.came, _GRAIN))
        rates = [(last.total - first.total) / span for span in spans]
        if spec.modality == "video":
            least = limits.picture_rate * spec.rate
            wrong = max(rates) < least
            finding = f"it gives fewer than {least:g} pictures a second"
        else:
            wrong = all(abs(rate / spec.rate - 1) > limits.sound_rate for rate in rates)
            finding = f"its rate is wrong, not {spec.rate:g} Hz"
        self._lasts("rate", _SETTLE, now, finding, holds=wrong)
        while self._counts[-1].time - self._counts[0].time >= limits.rate:
            self._counts.popleft()
