"""The lessons of one sensor, and the sequential test that admits its correction.

A scene is a run of windows with one answer of the teacher. Its windows are near copies of each other, so a
scene counts once, and is judged before it is learned from: no window is spent twice.

**The guarantee.** A correction comes into use once two bets (`bet`) have both won:

- `helps` bets on the gain of the teacher's answer: the change of its probability by the correction, as a
  share of the largest change of any class. If the gain is 0 or less on average, whatever came before, the
  correction ever comes into use with a probability of at most `HARMFUL`.
- `related` bets that, of two scenes in a row, the shipped logits prefer the teacher's answers to the same
  answers exchanged. If the answers have nothing to do with the sensor's windows (a camera that sees another
  room), either order is as likely, and the probability is at most `UNRELATED`.

A correction in use is dropped, and its lessons forgotten, once `harms`, the same bet as `helps` on the
opposite, has won, or if `related` is not won again within `PERIOD` scenes. A teacher that is always wrong in
the same way about some classes is believed, unless the shipped head denies them (`correction.fit`); labels of
a person are the remedy. Nothing is tested about classes that were never taught.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.adapting.correction import Correction, Sums, fit, inverse_of
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.judge import UNCALIBRATED
from sensemble_runtime.bundle.manifest import SubsetCalibration

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HARMFUL = 0.1
"""The largest probability that a correction which does not help is ever used."""
UNRELATED = 0.02
"""The largest probability that a teacher unrelated to the sensor's windows is ever believed."""
PERIOD = 200
"""Scenes within which the teacher of a correction in use must prove related again."""
SCENE = 4
"""Windows of one scene that are learned from, the first ones."""
WARM = 8.0
"""The weight of lessons before a correction is judged: earlier bets would lose."""
STAKE = 0.4
"""The share of the wealth that is bet on each outcome. Chosen on voices of the side calibrate."""
VARIETY = 4.0
"""The least perplexity of the taught classes, or three quarters of all: others were not tested."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A window's embedding, float32 [d], its teacher's probabilities, float32 [C], and a weight above 0."""

    embedding: Floats
    teacher: Floats
    weight: float = 1.0


def bet(wealth: float, outcome: float) -> float:
    """Return the wealth after a bet on an outcome in [-1, 1], at most 1e9.

    If outcomes are 0 or less on average, whatever came before, a wealth of 1 ever reaches c with a
    probability of at most 1 / c (Ville's inequality; Waudby-Smith and Ramdas, 2024).
    """
    return min(wealth * (1 + STAKE * outcome), 1e9)


@dataclass(slots=True)
class Trial:
    """The test of a correction over so many scenes, `period` of them since `related` was last won.

    `shipped` and `adapted` sum the shares of windows on which the head, and the correction, named the answer.
    """

    scenes: int = 0
    shipped: float = 0.0
    adapted: float = 0.0
    helps: float = 1.0
    harms: float = 1.0
    related: float = 1.0
    period: int = 0

    @property
    def agreement(self) -> tuple[float, float]:
        """The share of windows on which the shipped head agreed with the teacher, and the correction."""
        n = max(self.scenes, 1)
        return self.shipped / n, self.adapted / n


@dataclass(frozen=True, slots=True)
class Decision:
    """A correction came into use with this agreement, or left it for a reason."""

    agreement: tuple[float, float]
    reason: str = ""


@dataclass(slots=True)
class Learner:
    """The lessons of one sensor.

    Attributes:
        calibration: of its modality alone.
        taught: the weight of the lessons about each class, [C].
        used: whether the correction may be used.
        windows: the number of lessons learned.
        scene: the lessons of the current scene, not learned yet.
        waiting: the shipped logits [C] and the answer of the first of two scenes.
    """

    head: Head
    calibration: SubsetCalibration
    inverse: Floats
    sums: Sums
    taught: Doubles
    trial: Trial = field(default_factory=Trial)
    used: bool = False
    windows: int = 0
    correction: Correction | None = None
    scene: list[Lesson] = field(default_factory=list)
    waiting: tuple[Floats, int] | None = None

    @classmethod
    def new(cls, head: Head, calibration: SubsetCalibration = UNCALIBRATED) -> "Learner":
        """Return a learner without lessons."""
        classes, d = head.weight.shape
        return cls(head, calibration, inverse_of(head), Sums.empty(d, classes), np.zeros(classes))

    def learn(self, lesson: Lesson) -> Decision | None:
        """Add a lesson; one about another class ends the scene before, which is judged and learned."""
        decision = None
        if self.scene and self.scene[0].teacher.argmax() != lesson.teacher.argmax():
            decision = self.end_scene()
        if len(self.scene) < SCENE:
            self.scene.append(lesson)
        return decision

    def end_scene(self) -> Decision | None:
        """Judge the current scene, then learn from it; return a change of `used`."""
        scene, self.scene = self.scene, []
        if not scene:
            return None
        x, answer = np.stack([lesson.embedding for lesson in scene]), int(scene[0].teacher.argmax())
        if self.correction is not None and self.sums.weight >= WARM:
            self._judge(self.correction, x, answer)
        for lesson in scene:
            self.sums.add(lesson.embedding, lesson.teacher, lesson.weight)
            self.taught[answer] += lesson.weight
        self.windows += len(scene)
        self.correction = fit(self.sums, self.head, self.inverse)
        return self._decide()

    def _judge(self, correction: Correction, x: Floats, answer: int) -> None:
        trial, calibration = self.trial, self.calibration
        before, after = (
            self.head.probabilities(each, calibration.temperature, calibration.power)
            for each in (x, correction(x))
        )
        trial.scenes += 1
        trial.period += 1
        trial.shipped += float((before.argmax(axis=1) == answer).mean())
        trial.adapted += float((after.argmax(axis=1) == answer).mean())
        change = (after - before).mean(axis=0)
        gain = float(change[answer] / max(np.abs(change).max(), 1e-9))
        trial.helps = bet(trial.helps, gain)
        trial.harms = max(bet(trial.harms, -gain), 1.0)
        logits = self.head.logits(x).mean(axis=0) / self.calibration.temperature
        if self.waiting is None:
            self.waiting = logits, answer
            return
        (other, its_answer), self.waiting = self.waiting, None
        difference = other - logits
        trial.related = bet(trial.related, float(np.tanh((difference[its_answer] - difference[answer]) / 2)))

    def _decide(self) -> Decision | None:
        trial, agreement = self.trial, self.trial.agreement
        related = trial.related >= 1 / UNRELATED
        if not self.used:
            if not (trial.helps >= 1 / HARMFUL and related and self._varied):
                return None
            self.used = True
            trial.harms, trial.related, trial.period = 1.0, 1.0, 0
            return Decision(agreement)
        if related:
            trial.related, trial.period = 1.0, 0
        if trial.harms >= 1 / UNRELATED:
            reason = "it no longer agrees better than the bundle's own head"
        elif trial.period >= PERIOD:
            reason = "its teacher no longer proves related to it"
        else:
            return None
        new = Learner.new(self.head, self.calibration)
        self.sums, self.taught, self.trial = new.sums, new.taught, new.trial
        self.used, self.windows, self.correction, self.waiting = False, 0, None, None
        return Decision(agreement, reason)

    @property
    def _varied(self) -> bool:
        shares = self.taught[self.taught > 0] / self.taught.sum()
        perplexity = float(np.exp(-(shares * np.log(shares)).sum()))
        return perplexity >= min(VARIETY, 0.75 * len(self.taught))
