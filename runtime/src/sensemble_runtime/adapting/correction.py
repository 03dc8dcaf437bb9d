"""The correction of one sensor's logits: a ridge regression from running sums, and the test that admits it.

**The test.** A scene is a run of windows with one answer of the teacher: near copies of each other, so it
counts once, and is judged before it is learned. A correction comes into use once two bets have both won:

- `helps` bets on the gain: the change of the probability of the teacher's answer, as a share of the largest
  change of any class. If the gain is 0 or less on average, whatever came before, the correction ever comes
  into use with a probability of at most `HARMFUL`.
- `related` bets that the shipped logits of two scenes in a row prefer the teacher's answers to the same
  answers exchanged. If the answers have nothing to do with the sensor's windows (a camera in another room),
  either order is as likely, and the probability is at most `UNRELATED`.

It is dropped, and its lessons forgotten, once the opposite of `helps` has won, or if `related` is not won
again within `PERIOD` scenes.

A teacher that always confuses two classes is believed, unless the shipped head denies them (`fit`); labels of
a person are the remedy. Nothing is tested about classes that were never taught.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.head import Head, calibrated
from sensemble_runtime.bundle.judge import UNCALIBRATED
from sensemble_runtime.bundle.manifest import SubsetCalibration

Floats = NDArray[np.floating]

MEMORY = 512  # windows after which one counts a third of a new one
# The prior: `WEIGHT` windows that call for `SLOPE` times the shipped slopes as they fit the lessons best (too
# flat, as lessons are noisy). Chosen on voices that an encoder had not heard.
SLOPE, WEIGHT = 2.0, 20.0
HARMFUL = 0.1  # the largest probability that a correction which does not help is ever used
UNRELATED = 0.02  # the largest probability that a teacher unrelated to the sensor's windows is ever believed
STAKE = 0.4  # the share of the wealth that is bet on each outcome; chosen on voices of the side calibrate
PERIOD = 200  # scenes within which the teacher of a correction in use must prove related again
SCENE = 4  # windows of one scene that are learned from, the first ones
WARM = 8.0  # the weight of lessons before a correction is judged: earlier bets would lose
VARIETY = 4.0  # the least perplexity of the taught classes, or three quarters of all: others were not tested


@dataclass(frozen=True, slots=True)
class Lesson:
    """A window's embedding [d], its teacher's probabilities [C], and a weight above 0."""

    embedding: Floats
    teacher: Floats
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Decision:
    """A correction came into use or left it; agreements as in `Trial`."""

    kind: Literal["taught", "untaught"]
    shipped: float
    adapted: float


@dataclass(slots=True)
class Sums:
    """Weighted sums of lessons: pairs of an embedding x and a teacher's probabilities q with weights w."""

    mean: Floats  # of x, [d]
    target: Floats  # the mean of q, [C]
    scatter: Floats  # sum of w (x - mean)(x - mean)^T, [d, d]
    cross: Floats  # sum of w (x - mean)(q - target)^T, [d, C]
    taught: Floats  # the weight of the lessons about each class, [C], without decay
    weight: float = 0.0  # the sum of w
    windows: int = 0  # the number of lessons

    @classmethod
    def empty(cls, d: int, classes: int) -> Self:
        """Return the sums of nothing."""
        row = np.zeros(classes)
        return cls(np.zeros(d), row, np.zeros((d, d)), np.zeros((d, classes)), row)

    def add(self, x: Floats, q: Floats, weight: float = 1.0) -> None:
        """Decay the sums, then add a lesson of a weight above 0."""
        # West's update (Communications of the ACM 22, 1979) does not cancel where the mean is large.
        keep = 1 - 1 / MEMORY
        total = keep * self.weight + weight
        step, error = np.asarray(x, np.float64) - self.mean, q - self.target
        share = weight * keep * self.weight / total
        self.scatter = keep * self.scatter + share * np.outer(step, step)
        self.cross = keep * self.cross + share * np.outer(step, error)
        self.mean = self.mean + weight / total * step
        self.target = self.target + weight / total * error
        self.taught = self.taught + weight * np.eye(len(q))[q.argmax()]
        self.weight, self.windows = total, self.windows + 1

    @property
    def varied(self) -> bool:
        """True if the lessons were about enough classes."""
        shares = self.taught[self.taught > 0] / self.taught.sum()
        return bool(np.exp(-(shares * np.log(shares)).sum()) >= min(VARIETY, 0.75 * len(self.taught)))


@dataclass(frozen=True, slots=True)
class Correction:
    """Adds x `slopes` + `bias` to the logits of one sensor's embeddings x."""

    slopes: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        """Return what is added to the logits [..., C] of embeddings [..., d]."""
        return np.asarray(x @ self.slopes + self.bias)


def bet(wealth: float, outcome: float) -> float:
    """Return the wealth after a bet on an outcome in [-1, 1], at most 1e9.

    If outcomes are 0 or less on average, whatever came before, a wealth of 1 ever reaches c with a
    probability of at most 1 / c (Ville's inequality; Waudby-Smith and Ramdas, 2024).
    """
    return min(wealth * (1 + STAKE * outcome), 1e9)


@dataclass(slots=True)
class Trial:
    """The test of a correction."""

    used: bool = False
    scenes: int = 0
    since: int = 0  # scenes since `related` was last won
    shipped: float = 0.0  # the sum of the shares of a scene's windows on which head and teacher agree
    adapted: float = 0.0  # likewise of the correction
    helps: float = 1.0
    harms: float = 1.0
    related: float = 1.0

    @property
    def agreement(self) -> tuple[float, float]:
        """The share of windows on which the shipped head agreed with the teacher, and the correction."""
        n = max(self.scenes, 1)
        return self.shipped / n, self.adapted / n


class Learner:
    """The lessons of one sensor, the correction that they call for, and its test."""

    def __init__(self, head: Head, calibration: SubsetCalibration = UNCALIBRATED) -> None:
        self._head, self._calibration = head, calibration
        self._forget()

    def _forget(self) -> None:
        self.sums, self.trial = Sums.empty(*reversed(self._head.weight.shape)), Trial()
        self.correction: Correction | None = None
        self._scene: list[Lesson] = []
        self._waiting: tuple[Floats, int] | None = None  # the logits and the answer of the first of two

    def learn(self, lesson: Lesson) -> Decision | None:
        """Add a lesson; one about another class ends the scene, which is judged and learned."""
        decision = None
        if self._scene and self._scene[0].teacher.argmax() != lesson.teacher.argmax():
            if self.correction is not None and self.sums.weight >= WARM:
                self._judge(self.correction)
            for one in self._scene:
                self.sums.add(one.embedding, one.teacher, one.weight)
            self._scene.clear()
            self.correction = fit(self.sums, self._head)
            decision = self._decide()
        if len(self._scene) < SCENE:
            self._scene.append(lesson)
        return decision

    def _judge(self, correction: Correction) -> None:
        x, answer = np.stack([one.embedding for one in self._scene]), int(self._scene[0].teacher.argmax())
        logits, calibration, trial = self._head.logits(x), self._calibration, self.trial
        before, after = (
            calibrated(each, calibration.temperature, calibration.power, self._head.task)
            for each in (logits, logits + correction(x))
        )
        trial.scenes += 1
        trial.since += 1
        trial.shipped += float((before.argmax(axis=1) == answer).mean())
        trial.adapted += float((after.argmax(axis=1) == answer).mean())
        change = (after - before).mean(axis=0)
        gain = float(change[answer] / max(np.abs(change).max(), 1e-9))
        trial.helps, trial.harms = bet(trial.helps, gain), max(bet(trial.harms, -gain), 1.0)
        mean = logits.mean(axis=0) / calibration.temperature
        if self._waiting is None:
            self._waiting = mean, answer
        else:
            (other, its), self._waiting = self._waiting, None
            apart = other - mean
            trial.related = bet(trial.related, float(np.tanh((apart[its] - apart[answer]) / 2)))

    def _decide(self) -> Decision | None:
        trial = self.trial
        related = trial.related >= 1 / UNRELATED
        if not trial.used and related and trial.helps >= 1 / HARMFUL and self.sums.varied:
            trial.used, trial.harms, trial.related, trial.since = True, 1.0, 1.0, 0
            return Decision("taught", *trial.agreement)
        if trial.used and related:
            trial.related, trial.since = 1.0, 0
        if trial.used and (trial.harms >= 1 / UNRELATED or trial.since >= PERIOD):
            self._forget()
            return Decision("untaught", *trial.agreement)
        return None


def fit(sums: Sums, head: Head) -> Correction | None:
    """Return the correction that the lessons of a sensor call for; None while they say nothing.

    - A ridge regression of q on x is drawn towards the prior; its penalty is in units of the largest
      variances, tr(A^2) / tr(A) of the scatter A.
    - A class on which teacher and shipped head disagree in sign keeps the shipped slopes.
    - The slopes are rescaled to the variance of the shipped logits: a correction changes the opinion, not its
      strength. They are centred on the mean of the class means, so that the frequent are no likelier.
    """
    shipped = np.asarray((head.weight - head.weight.mean(axis=0)).T, np.float64)  # a softmax sees no mean
    variance = float((shipped * (sums.scatter @ shipped)).sum())
    if sums.weight <= 1 or variance <= 0:
        return None
    prior = SLOPE * max(float((shipped * sums.cross).sum()) / variance, 0.0) * shipped
    penalty = WEIGHT * float((sums.scatter**2).sum()) / float(np.trace(sums.scatter)) / sums.weight
    matrix = sums.scatter + penalty * np.eye(len(shipped))
    slopes = np.linalg.solve(matrix, sums.cross + penalty * prior)
    denied = (shipped * sums.cross).sum(axis=0) <= 0
    slopes[:, denied] = prior[:, denied]
    fitted = float((slopes * (sums.scatter @ slopes)).sum())
    if not fitted > 0:
        return None
    slopes *= (variance / fitted) ** 0.5
    counts = sums.weight * sums.target
    often = counts >= 1
    centre = sums.mean + (sums.cross[:, often] / counts[often]).mean(axis=1) if often.any() else sums.mean
    found = Correction(slopes - shipped, -(centre @ slopes) - (head.bias - head.bias.mean()))
    return found if np.isfinite(found.slopes).all() and np.isfinite(found.bias).all() else None
