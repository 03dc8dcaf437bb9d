"""The timeline: moments (a word, a gesture) and states (walking) out of the answers of overlapping windows.

A scene shows one of C classes or none. A forward filter (Rabiner 1989, Eq. 20) carries the probability of
each from window to window: a class begins at a rate, lasts its `dwell` on average, and a window multiplies
its odds against none by

    R(c) ** min(1, evidence dt),

where R are likelihood ratios and dt the seconds since the window before: windows that overlap repeat each
other, and `evidence`, fitted, says how far. Of five ways it finds most at the same number of false events
(`apps/benchmarks/streams.py`). The sensors m of a set say together

    prod_m [h_m R_m(c) + 1 - h_m] ** w_m.

With a probability of 1 - h_m the sensor lies, so that one that shows nothing speaks but a little against what
others witness; a lone one does not lie. The weight w_m is fitted in each set: a camera that sees the same
scribble for seconds repeats itself.

A state is there for all sensors at once: they share one filter, and R_m are those of their newest windows
(`answer.against_none`). A moment comes to each at its own time: a digit that is shown for seconds is said in
one. So where all classes are moments, each sensor has its own filter, and R_m is what its windows have said
so far, over what is so without evidence. Then a sensor without weight, or that has nothing to say, changes
nothing: silence ends what its own sensor heard, and captions that come between two windows of a microphone
leave its evidence as it is.

A class begins when its log-odds reach the `threshold`, and ends when they were below it for `REST` seconds,
no answer came for `PAUSE` seconds, or another class begins. A state goes on by `LINGER` less, and it has
begun when its log-odds reached that. The threshold of each set of sensors is fitted on hours of streams to a
number of false events an hour; that of states, to their segments.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.manifest import SetThreshold, TimelineCalibration
from sensemble_runtime.prediction import MOST

Floats = NDArray[np.floating]
REST = 0.75  # seconds below the threshold after which a class has ended
BEGINS = 0.1  # classes a second that begin, before any evidence: one in ten seconds
_MOST = 12.0  # the log-likelihood ratio that an answer counts for at most, against one that is far off
_LEAST = 1e-12
PAUSE = 5.0  # seconds without an answer, which is no evidence, after which nothing is known
LINGER = 6.0  # log-odds below the threshold by which a state goes on: one stumble does not end a walk
STATE = 3.0  # seconds that a class lasts from which it is a state; shorter ones are moments
DEFAULT = TimelineCalibration(3.2, 1.0, {}, 1.0, {"": SetThreshold(1.0, 1e-6, 0, None)})
"""The numbers of a bundle whose data had no streams; they promise nothing."""


def states(calibration: TimelineCalibration | None, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that are states; the others are moments."""
    dwells = _dwells(calibration or DEFAULT, labels)
    return tuple(label for label, dwell in zip(labels, dwells, strict=True) if dwell >= STATE)


@dataclass(frozen=True, slots=True)
class Happening:
    """A class that began, or that ended.

    Attributes:
        began, ended: when, in the time of the answers; `ended` is None while it lasts.
        at: when it was known.
        confidence: the greatest probability of the class so far.
        sensors: those that were live when it began.
    """

    kind: Literal["began", "ended"]
    label: str
    began: float
    ended: float | None
    at: float
    confidence: float
    sensors: tuple[str, ...]

    def __str__(self) -> str:
        """Write it in a line: `three, 97 %, audio+video`; if it ended, ` after 27.8 s`."""
        over = "" if self.ended is None else f" after {self.ended - self.began:.1f} s"
        return f"{self.label}, {min(round(100 * self.confidence), MOST)} %, {'+'.join(self.sensors)}{over}"


class Filter:
    """The probabilities of C classes and of none, from window to window of a sensor.

    Attributes:
        none, each: after the newest window, [1] and [C].
    """

    def __init__(self, calibration: TimelineCalibration, labels: Sequence[str]) -> None:
        self._dwell, self._evidence = _dwells(calibration, labels), calibration.evidence
        self._rest = np.log(at_rest(calibration, labels))
        self._time = -math.inf
        self.none, self.each = np.ones(1), np.zeros(len(labels))

    def note(self, time: float, ratios: Floats) -> None:
        """Take a window: the log-likelihood ratios [C] of each class against none."""
        elapsed = time - self._time
        if elapsed > PAUSE:
            self.none, self.each, elapsed = np.ones(1), np.zeros(len(self.each)), 1 / self._evidence
        none, each = self._passed(elapsed, self.none, self.each)
        each = each * np.exp(min(1.0, self._evidence * elapsed) * np.clip(ratios, -_MOST, _MOST))
        whole = none + each.sum()
        self._time, self.none, self.each = time, none / whole, each / whole

    def _passed(self, elapsed: float | Floats, none: Floats, each: Floats) -> tuple[Floats, Floats]:
        stay = np.exp(-elapsed / self._dwell)
        begin = 1 - np.exp(-elapsed * BEGINS)
        leaving = ((1 - stay) * each).sum(axis=-1, keepdims=True)
        return none * (1 - begin) + leaving, each * stay + none * begin / len(self._dwell)

    def now(self, time: float) -> Floats:
        """Return what the windows so far say at a time (`says`)."""
        return self.says(time - self._time, self.none, self.each)

    def says(self, elapsed: float | Floats, none: Floats, each: Floats) -> Floats:
        """Return the logarithms [..., C] of each class against none, over what they are without evidence.

        The probabilities [..., 1] and [..., C] were so `elapsed` seconds, or [..., 1], ago.
        """
        none, each = self._passed(elapsed, none, each)
        return np.asarray(np.log((each + _LEAST) / (none + _LEAST)) - self._rest)


def at_rest(calibration: TimelineCalibration, labels: Sequence[str]) -> Floats:
    """Return the odds [C] of each class against none, without evidence."""
    return BEGINS * _dwells(calibration, labels) / len(labels)


def _dwells(calibration: TimelineCalibration, labels: Sequence[str]) -> Floats:
    return np.array([calibration.dwell.get(label, calibration.usual) for label in labels])


def product(
    ratios: Mapping[str, Floats], honest: Mapping[str, Floats | float], weights: Mapping[str, float]
) -> Floats | float:
    """Return what a set says, logarithms [..., C], by those of its sensors, each [..., C], and h_m, [...].

    A sensor that `weights` lacks counts in full.
    """
    total: Floats | float = 0.0
    for m, own in ratios.items():
        truth = np.asarray(honest[m])[..., None]
        with np.errstate(divide="ignore"):  # a lone sensor does not lie
            total = total + weights.get(m, 1.0) * np.logaddexp(np.log(truth) + own, np.log(1 - truth))
    return total


def going_on(ratios: Floats | float, rest: Floats) -> Floats:
    """Return the log-odds [..., C] that each class is going on, by what is said against none."""
    total = ratios + np.log(rest)
    shares = np.exp(total - np.logaddexp(0, np.logaddexp.reduce(total, axis=-1, keepdims=True)))
    return np.asarray(np.log(shares + _LEAST) - np.log(1 - shares + _LEAST))


class Timeline:
    """Tells what begins and what ends. For one thread at a time; times are given, and rise.

    Without a calibration, as of a bundle whose data had no streams, it is `DEFAULT`.
    """

    def __init__(self, calibration: TimelineCalibration | None, labels: Sequence[str]) -> None:
        self.calibration = calibration or DEFAULT
        self._labels = labels
        self._rest = at_rest(self.calibration, labels)
        self._filters = dict[str, Filter]()
        lasting = states(calibration, labels)
        self._shared = bool(lasting)
        self._episodes = Episodes(labels, lasting)
        self._answered = -math.inf  # when the newest answer came

    def note(
        self,
        time: float,
        ratios: Mapping[str, Floats],
        honest: Mapping[str, float],
        sensors: tuple[str, ...] = (),
        near: tuple[str, ...] | None = None,
        fresh: Collection[str] | None = None,
    ) -> list[Happening]:
        """Take an answer.

        Args:
            time: of the answer.
            ratios: `answer.against_none` [C] of the newest window of each sensor whose evidence counts.
            honest: the probability that each of these does not lie.
            sensors: those that it names.
            near: the set whose weights and threshold count, by default those of `ratios`: one that says
                nothing just now is of it.
            fresh: those whose window is new, by default all.
        """
        near = tuple(sorted(ratios)) if near is None else near
        weights = self.calibration.weights(near)
        trusted = honest if len(near) > 1 else dict.fromkeys(ratios, 1.0)
        own = {"": np.asarray(product(ratios, trusted, weights))} if self._shared else ratios
        for m, ratio in own.items():
            if self._shared or fresh is None or m in fresh:
                self._filters.setdefault(m, Filter(self.calibration, self._labels)).note(time, ratio)
        ratios = {m: self._filters[m].now(time) for m in own if m in self._filters}
        odds = going_on(ratios[""] if self._shared else product(ratios, trusted, weights), self._rest)
        self._answered = time
        return list(self._episodes.step(time, odds, self.calibration.threshold(near), sensors))

    @property
    def deadline(self) -> float | None:
        """The time at which what goes on ends if no answer comes before; None if nothing does."""
        return self._answered + PAUSE if self._episodes.going else None

    def pass_to(self, time: float) -> list[Happening]:
        """End what has had no answer for `PAUSE` seconds."""
        return self.end(self._answered + PAUSE) if time - self._answered >= PAUSE else []

    def end(self, time: float) -> list[Happening]:
        """End what goes on: no more answers come."""
        return list(self._episodes.end(time))


class Episodes:
    """Cuts log-odds into classes that begin and end, by a threshold; those that are `lasting` linger."""

    def __init__(self, labels: Sequence[str], lasting: Collection[str] = ()) -> None:
        self._labels, self._lasting = labels, lasting
        self.going: Happening | None = None
        self._highest = 0.0  # confidence since it began
        self._last = -math.inf  # when it was last above the threshold
        self._before = -math.inf  # when the answer before came
        self._since = dict[str, float]()  # when the log-odds of a state came within `LINGER` of the threshold

    def step(
        self, time: float, odds: Floats, threshold: float, sensors: tuple[str, ...] = ()
    ) -> Iterator[Happening]:
        """Yield what ends and what begins by the log-odds [C] at a time."""
        best = int(odds.argmax())
        # Windows that come less often are no rest.
        is_rested = time - self._last > max(REST, 1.5 * (time - self._before))
        if time - self._before > PAUSE:
            self._since = {}
        self._before = time
        if self._lasting:
            near = {label for label, own in zip(self._labels, odds, strict=True) if own >= threshold - LINGER}
            self._since = {label: self._since.get(label, time) for label in self._lasting if label in near}
        if odds[best] < threshold:
            if self.going is not None and self.going.label in self._since:
                self._last = time
            elif is_rested:
                yield from self.end(time)
            return
        label, confidence = self._labels[best], 1 / (1 + math.exp(-float(odds[best])))
        if self.going is not None and (label != self.going.label or is_rested):
            yield from self.end(time)
        began, self._last = max(self._since.get(label, time), self._last), time
        self._highest = confidence if self.going is None else max(self._highest, confidence)
        if self.going is None:
            self.going = Happening("began", label, began, None, time, confidence, sensors)
            yield self.going

    def end(self, time: float) -> Iterator[Happening]:
        """Yield the end of what goes on, if anything does."""
        if self.going is not None:
            yield replace(self.going, kind="ended", ended=self._last, at=time, confidence=self._highest)
            self.going = None
