"""The correction of one sensor's logits: a ridge regression, and the test that admits it.

**The test.** A scene is a run of windows with one answer of the teacher: near copies of each other, so it
counts once, and is judged before it is learned. A correction is in use once two bets have both won:

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
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.head import Head, calibrated
from sensemble_runtime.bundle.manifest import ModalityCalibration

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
FEW = 0.25  # lessons at the common mean that each class is given, as a share of an average class's
VARIETY = 4.0  # the least perplexity of the taught classes, or three quarters of all: others were not tested

Change = Literal["taught", "untaught"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A window's embedding [d], the class that its teacher finds most probable, and a weight above 0."""

    embedding: Floats
    answer: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Correction:
    """Adds x `slopes` + `bias` to the logits of one sensor's embeddings x."""

    slopes: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        """Return what is added to the logits [..., C] of embeddings [..., d]."""
        return np.asarray(x @ self.slopes + self.bias)


@dataclass(slots=True)
class CorrectionTrial:
    """The test of a correction, and the numbers of its lessons and of the scenes that judged it."""

    used: bool = False
    windows: int = 0
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
    """The lessons of one sensor, the correction that they call for, and its test.

    `moments` [d + 1, d + 1 + C] are weighted sums of (x, 1) (x, 1, q)^T, in which old lessons fade: x is an
    embedding, and q is 1 for the teacher's answer and 0 elsewhere.
    """

    def __init__(self, head: Head, calibration: ModalityCalibration | None = None) -> None:
        self._head, found = head, calibration
        self._temperature, self._power = (found.temperature, found.power) if found else (1.0, 0.0)
        self._forget()

    def _forget(self) -> None:
        classes, d = self._head.weight.shape
        self.restore(np.zeros((d + 1, d + 1 + classes)), CorrectionTrial())

    def restore(self, moments: Floats, trial: CorrectionTrial) -> None:
        """Go on from what was kept."""
        self.moments, self.trial = moments, trial
        self.correction = fit(moments, self._head)
        self._scene: list[Lesson] = []
        self._waiting: tuple[Floats, int] | None = None  # the logits and the answer of the first of two

    def learn(self, lesson: Lesson) -> Change | None:
        """Add a lesson; one about another class ends the scene, which is judged and learned.

        Return `taught` if the correction came into use, `untaught` if it was dropped.
        """
        change = None
        if self._scene and self._scene[0].answer != lesson.answer:
            if self.correction is not None and self.moments[-1, len(lesson.embedding)] >= WARM:
                self._judge(self.correction)
            for one in self._scene:
                self.moments = added(self.moments, one)
            self.trial.windows += len(self._scene)
            self._scene.clear()
            self.correction = fit(self.moments, self._head)
            change = self._decide()
        if len(self._scene) < SCENE:
            self._scene.append(lesson)
        return change

    def _judge(self, correction: Correction) -> None:
        x, answer = np.stack([one.embedding for one in self._scene]), self._scene[0].answer
        logits, trial = self._head.logits(x), self.trial
        before, after = (
            calibrated(each, self._temperature, self._power, self._head.task)
            for each in (logits, logits + correction(x))
        )
        trial.scenes += 1
        trial.since += 1
        trial.shipped += float((before.argmax(axis=1) == answer).mean())
        trial.adapted += float((after.argmax(axis=1) == answer).mean())
        change = (after - before).mean(axis=0)
        gain = float(change[answer] / max(np.abs(change).max(), 1e-9))
        trial.helps, trial.harms = bet(trial.helps, gain), max(bet(trial.harms, -gain), 1.0)
        mean = logits.mean(axis=0) / self._temperature
        if self._waiting is None:
            self._waiting = mean, answer
        else:
            (other, its), self._waiting = self._waiting, None
            apart = other - mean
            trial.related = bet(trial.related, float(np.tanh((apart[its] - apart[answer]) / 2)))

    def _decide(self) -> Change | None:
        trial = self.trial
        related = trial.related >= 1 / UNRELATED
        if not trial.used and related and trial.helps >= 1 / HARMFUL and self._varied:
            trial.used, trial.harms, trial.related, trial.since = True, 1.0, 1.0, 0
            return "taught"
        if trial.used and related:
            trial.related, trial.since = 1.0, 0
        if trial.used and (trial.harms >= 1 / UNRELATED or trial.since >= PERIOD):
            self._forget()
            return "untaught"
        return None

    @property
    def _varied(self) -> bool:
        """True if the lessons were about enough classes."""
        weights = self.moments[-1, len(self.moments) :]
        shares = weights[weights > 0] / weights.sum()
        return bool(np.exp(-(shares * np.log(shares)).sum()) >= min(VARIETY, 0.75 * len(weights)))


def bet(wealth: float, outcome: float) -> float:
    """Return the wealth after a bet on an outcome in [-1, 1], at most 1e9.

    If outcomes are 0 or less on average, whatever came before, a wealth of 1 ever reaches c with a
    probability of at most 1 / c (Ville's inequality; Waudby-Smith and Ramdas, 2024).
    """
    return min(wealth * (1 + STAKE * outcome), 1e9)


def added(moments: Floats, lesson: Lesson) -> Floats:
    """Return the decayed moments with a lesson added."""
    row = np.zeros(moments.shape[1])
    d = len(lesson.embedding)
    row[:d], row[d], row[d + 1 + lesson.answer] = lesson.embedding, 1, 1
    return (1 - 1 / MEMORY) * moments + lesson.weight * np.outer(row[: d + 1], row)


def fit(moments: Floats, head: Head) -> Correction | None:
    """Return the correction that the lessons of a sensor call for; None while they say nothing.

    - A ridge regression of q on x is drawn towards the prior; its penalty is in units of the largest
      variances, tr(A^2) / tr(A) of the scatter A.
    - A class on which teacher and shipped head disagree in sign keeps the shipped slopes.
    - The slopes are rescaled to the variance of the shipped logits: a correction changes the opinion, not its
      strength. They are centred on the mean of the class means, so that the frequent are no likelier.
    """
    shipped = np.asarray((head.weight - head.weight.mean(axis=0)).T, np.float64)  # a softmax sees no mean
    d = len(shipped)
    weight, counts = float(moments[d, d]), moments[d, d + 1 :]
    if weight <= 1:
        return None
    mean = moments[d, :d] / weight
    scatter = moments[:d, :d] - weight * np.outer(mean, mean)
    cross = moments[:d, d + 1 :] - np.outer(mean, counts)
    variance = float((shipped * (scatter @ shipped)).sum())
    if variance <= 1e-9 * float((shipped * (moments[:d, :d] @ shipped)).sum()):  # rounding alone
        return None
    prior = SLOPE * max(float((shipped * cross).sum()) / variance, 0.0) * shipped
    penalty = WEIGHT * float((scatter**2).sum()) / float(np.trace(scatter)) / weight
    slopes = np.linalg.solve(scatter + penalty * np.eye(d), cross + penalty * prior)
    denied = (shipped * cross).sum(axis=0) <= 0
    slopes[:, denied] = prior[:, denied]
    fitted = float((slopes * (scatter @ slopes)).sum())
    if not fitted > 0:
        return None
    slopes *= (variance / fitted) ** 0.5
    centre = mean + (cross / (counts + FEW * weight / len(counts))).mean(axis=1)
    found = Correction(slopes - shipped, -(centre @ slopes) - (head.bias - head.bias.mean()))
    return found if np.isfinite(found.slopes).all() and np.isfinite(found.bias).all() else None
