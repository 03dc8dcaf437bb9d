"""The pupil: one sensor, what it has learned, and the test that says whether that may be used.

The unit is a scene: a run of windows about which the teacher says the same. Windows of a scene are near
copies of each other, so a scene counts as one outcome, and is judged before anything is learned from it.

**The guarantee.** Two sequential sign tests (`SignTest`) begin when a sensor has nothing learned, and its
correction comes into use once both are won:

- `helps`: a scene is a win where the correction gives its teacher's answer more probability than the shipped
  head does, a loss where less. If a win is no likelier than a loss, whatever came before, the chance that the
  correction ever comes into use is at most `HARMFUL`. It must also have named that answer more often.
- `borne`: two scenes in a row are a win where the shipped head by itself, less its mean logits, agrees with
  the teacher's answers more than with the same answers exchanged, a loss where less. If these have nothing to
  do with what the sensor perceives (a camera that sees another room), each order of the two is as likely as
  the other, however often teacher and sensor name each class: the chance of use is at most `UNRELATED`.

A correction in use is dropped, and what was learned forgotten, once the shipped head proves better, or if
the teacher is not borne out again within `PERIOD` scenes of the last time. It is not shown that a correction
is right. A teacher that is right about most classes and always wrong in the same way about others is
believed, unless the shipped head denies them (`correction.fit`); a person's labels are the remedy. Nothing is
shown about classes that were never taught.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.adapting.correction import Correction, Sums, centred, fit, inverse_of
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.judge import UNCALIBRATED
from sensemble_runtime.bundle.manifest import SubsetCalibration

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HARMFUL = 0.1
"""The chance that a correction which does not help is ever used."""
UNRELATED = 0.02
"""The chance that a teacher whose answers have nothing to do with the sensor's windows is ever believed."""
GAIN = 0.02
"""By how much a correction must agree more often with its teacher than the shipped head, as counted."""
PERIOD = 200
"""Scenes within which the teacher of a correction in use must be borne out again."""
SCENE = 4
"""Windows of one scene that are learned from, the first ones; the rest of it would say the same."""
WARM = 8.0
"""The weight of lessons before a correction is judged: one of fewer would only lose its first bets."""
VARIETY = 4.0
"""The variety that lessons must have before a correction is used: as if so many classes, or three quarters of
all, had been taught equally often (the perplexity of what the teacher said)."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A window, and what its teacher says about it.

    Attributes:
        embedding: of the window, float32 [d].
        teacher: its probabilities, float32 [C]; one 1 for a person's label.
        weight: how much it counts, above 0.
    """

    embedding: Floats
    teacher: Floats
    weight: float = 1.0


@dataclass(slots=True)
class SignTest:
    """A test of "wins are no likelier than losses", which may be looked at after every outcome.

    It is the wealth of a gambler who bets on a win, at even odds, a share that depends on earlier outcomes
    alone: by how much wins are likelier, as far as one knows (Krichevsky and Trofimov, IEEE Transactions on
    Information Theory 27, 1981), or nothing. If the hypothesis holds, given all that came before, wealth ever
    reaches c with a chance of at most 1 / c (Ville's inequality).

    Attributes:
        wins: so far.
        losses: so far; ties do not count.
        wealth: 1 at first.
    """

    wins: int = 0
    losses: int = 0
    wealth: float = 1.0

    def add(self, outcome: float) -> None:
        """Count an outcome: above 0 is a win, below a loss."""
        share = max(0.0, (self.wins - self.losses) / (self.wins + self.losses + 1))
        self.wealth = min(self.wealth * (1 + share * float(np.sign(outcome))), 1e9)
        self.wins += int(outcome > 0)
        self.losses += int(outcome < 0)


@dataclass(slots=True)
class Trial:
    """The test of a correction, since its lessons began.

    Attributes:
        scenes: how many were judged.
        shipped: the sum over them of the shares of windows about which the shipped head named the teacher's
            class.
        adapted: about which the correction did.
        helps: that the correction is better than the shipped head.
        harms: that it is worse, since it is used and was last ahead.
        borne: that the shipped head bears the teacher out; since it is used, again.
        period: scenes since that was last shown.
    """

    scenes: int = 0
    shipped: float = 0.0
    adapted: float = 0.0
    helps: SignTest = field(default_factory=SignTest)
    harms: SignTest = field(default_factory=SignTest)
    borne: SignTest = field(default_factory=SignTest)
    period: int = 0

    @property
    def agreement(self) -> tuple[float, float]:
        """The share of windows about which the shipped head agreed with the teacher, and the correction."""
        n = max(self.scenes, 1)
        return self.shipped / n, self.adapted / n


@dataclass(frozen=True, slots=True)
class Change:
    """A correction came into use, or left it for a reason, with this agreement (`Trial.agreement`)."""

    agreement: tuple[float, float]
    reason: str = ""


@dataclass(slots=True)
class Pupil:
    """The lessons of one sensor.

    Attributes:
        head: the bundle's.
        calibration: of this modality alone.
        inverse: `correction.inverse_of` the head.
        sums: of the lessons.
        taught: the weight of the lessons about each class, as the teacher named it, [C].
        trial: the test of the correction.
        used: whether it may be used.
        windows: the number of lessons so far.
        correction: what the lessons so far give, to be used only if `used`.
        scene: the lessons of the scene that goes on, which nothing was learned from yet.
        waiting: of the first of two scenes, the share of its windows for which the shipped head named each
            class, [C], and the teacher's answer.
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
    waiting: tuple[Doubles, int] | None = None

    @classmethod
    def new(cls, head: Head, calibration: SubsetCalibration = UNCALIBRATED) -> "Pupil":
        """Return a pupil that has learned nothing."""
        classes, d = head.weight.shape
        return cls(head, calibration, inverse_of(head), Sums.empty(d, classes), np.zeros(classes))

    def learn(self, lesson: Lesson) -> Change | None:
        """Take a lesson; one about another class than the one before ends the scene, which is learned.

        Returns:
            A change of `used`, if there was one.
        """
        change = None
        if self.scene and self.scene[0].teacher.argmax() != lesson.teacher.argmax():
            change = self.end_scene()
        if len(self.scene) < SCENE:
            self.scene.append(lesson)
        return change

    def end_scene(self) -> Change | None:
        """Judge the scene that goes on, then learn from it; see `learn`."""
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
        def look(x: Floats) -> tuple[float, float]:
            """Return the share of windows for which the head names the answer, and the probability of it."""
            found = self.head.probabilities(x, self.calibration.temperature, self.calibration.power)
            return float((found.argmax(axis=1) == answer).mean()), float(found[:, answer].mean())

        trial, (shipped, before), (adapted, now) = self.trial, look(x), look(correction(x))
        trial.scenes += 1
        trial.period += 1
        trial.shipped += shipped
        trial.adapted += adapted
        trial.helps.add(now - before)
        trial.harms.add(before - now)
        named = ((x - self.sums.mean) @ centred(self.head.weight)).argmax(axis=1)
        shares = np.bincount(named, minlength=len(self.taught)) / len(named)
        if self.waiting is None:
            self.waiting = shares, answer
            return
        (other, its_answer), self.waiting = self.waiting, None
        agreed = other[its_answer] + shares[answer]
        trial.borne.add(agreed - other[answer] - shares[its_answer])

    def _decide(self) -> Change | None:
        trial, agreement = self.trial, self.trial.agreement
        borne, better = trial.borne.wealth >= 1 / UNRELATED, agreement[1] >= agreement[0] + GAIN
        if not self.used:
            if not (borne and better and trial.helps.wealth >= 1 / HARMFUL and self._varied):
                return None
            self.used = True
            trial.harms, trial.borne, trial.period = SignTest(), SignTest(), 0
            return Change(agreement)
        if borne:
            trial.borne, trial.period = SignTest(), 0
        if trial.harms.wins < trial.harms.losses:  # only what came since the correction was last ahead counts
            trial.harms = SignTest()
        if trial.harms.wealth >= 1 / UNRELATED:
            reason = "it no longer agrees better than the bundle's own head"
        elif trial.period >= PERIOD:
            reason = "the bundle's own head no longer bears the teacher out"
        else:
            return None
        classes, d = self.head.weight.shape
        self.sums, self.taught, self.trial = Sums.empty(d, classes), np.zeros(classes), Trial()
        self.used, self.windows, self.correction, self.waiting = False, 0, None, None
        return Change(agreement, reason)

    @property
    def _varied(self) -> bool:
        shares = self.taught[self.taught > 0] / self.taught.sum()
        perplexity = float(np.exp(-(shares * np.log(shares)).sum()))
        return perplexity >= min(VARIETY, 0.75 * len(self.taught))
