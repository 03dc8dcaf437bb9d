"""The timeline: moments (a word, a gesture) and states (walking) out of the answers of overlapping windows.

A scene shows one of C classes or none. A forward filter (Rabiner 1989, Eq. 20) carries the probability of
each from answer to answer: a class begins at a rate, lasts its `dwell` on average, and an answer multiplies
its odds against none by

    (C p_c exp(known)) ** weight,    weight = min(1, evidence dt),

where p_c are the answer's probabilities if the scene shows a class, `known` is the log-odds that it does, and
dt the seconds since the answer before: windows that overlap repeat each other, and `evidence`, fitted, says
how far. Of five ways it finds most at the same number of false events (`apps/benchmarks/streams.py`).

A class begins when its log-odds reach the `threshold`, and ends when they were below it for `REST` seconds,
no answer came for `PAUSE` seconds, or another class begins. A state goes on by `LINGER` less, and it has
begun when its log-odds reached that. The threshold of each set of sensors is fitted on hours of streams to a
number of false events an hour; that of states, to their segments.
"""

import math
from collections.abc import Collection, Iterator, Sequence
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
HOLD = (
    2.0  # seconds for which the threshold of a set counts on when it changes: its evidence is in the filter
)
LINGER = 6.0  # log-odds below the threshold by which a state goes on: one stumble does not end a walk
STATE = 3.0  # seconds that a class lasts from which it is a state; shorter ones are moments
DEFAULT = TimelineCalibration(3.2, 1.0, {}, 1.0, {"": SetThreshold(1.0, 1e-6, 0, None)})
"""The numbers of a bundle whose data had no streams; they promise nothing."""


def states(calibration: TimelineCalibration | None, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that are states; the others are moments."""
    known = calibration or DEFAULT
    return tuple(label for label in labels if known.dwell.get(label, known.usual) >= STATE)


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
    """The probabilities of C classes and of none, from answer to answer."""

    def __init__(self, calibration: TimelineCalibration, labels: Sequence[str]) -> None:
        self._dwell = np.array([calibration.dwell.get(label, calibration.usual) for label in labels])
        self._evidence = calibration.evidence
        self._none, self._each = 1.0, np.zeros(len(labels))
        self._time = -math.inf

    def step(self, time: float, classes: Floats, known: float) -> Floats:
        """Take an answer, [C] and its log-odds; return the log-odds [C] that each class is going on."""
        elapsed = time - self._time
        if not 0 <= elapsed <= PAUSE:
            self._none, self._each, elapsed = 1.0, np.zeros(len(self._each)), 1 / self._evidence
        self._time = time
        stay = np.exp(-elapsed / self._dwell)
        begin = 1 - math.exp(-elapsed * BEGINS)
        leaving = float(((1 - stay) * self._each).sum())
        each = self._each * stay + self._none * begin / len(self._each)
        none = self._none * (1 - begin) + leaving
        ratio = np.log(np.maximum(len(self._each) * classes, _LEAST)) + known
        each = each * np.exp(min(1.0, self._evidence * elapsed) * np.clip(ratio, -_MOST, _MOST))
        whole = none + float(each.sum())
        self._none, self._each = none / whole, each / whole
        return np.asarray(np.log(self._each + _LEAST) - np.log(1 - self._each + _LEAST))


class Timeline:
    """Tells what begins and what ends. For one thread at a time; times are given, and rise.

    Without a calibration, as of a bundle whose data had no streams, it is `DEFAULT`.
    """

    def __init__(self, calibration: TimelineCalibration | None, labels: Sequence[str]) -> None:
        self.calibration = calibration or DEFAULT
        self._filter = Filter(self.calibration, labels)
        self._episodes = Episodes(labels, states(calibration, labels))
        self._answered = -math.inf  # when the newest answer came
        self._held: list[tuple[float, float]] = []  # when, and the threshold of the set

    def note(
        self,
        time: float,
        classes: Floats,
        known: float,
        sensors: tuple[str, ...] = (),
        near: tuple[str, ...] | None = None,
    ) -> list[Happening]:
        """Take an answer: its probabilities [C] if the scene shows a class, and the log-odds that it does.

        `sensors` are those that it names, `near` the set whose threshold counts, by default the same: those
        that hear nothing just now are of it.
        """
        self._answered = time
        own = self.calibration.threshold(sensors if near is None else near)
        self._held = [*((at, one) for at, one in self._held if 0 <= time - at <= HOLD), (time, own)]
        threshold = max(one for _, one in self._held)
        odds = self._filter.step(time, classes, known)
        return list(self._episodes.step(time, odds, threshold, sensors))

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
        if self.going is None:
            self.going = Happening("began", label, began, None, time, confidence, sensors)
            yield self.going
        elif confidence > self.going.confidence:
            self.going = replace(self.going, confidence=confidence)

    def end(self, time: float) -> Iterator[Happening]:
        """Yield the end of what goes on, if anything does."""
        if self.going is not None:
            yield replace(self.going, kind="ended", ended=self._last, at=time)
            self.going = None
