"""A made-up sensor that hears its classes otherwise than the head expects, and teachers good and bad."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime.adapting.correction import UNRELATED, Change, Learner, Lesson
from sensemble_runtime.bundle.head import Head

D, C = 24, 10
Teacher = Callable[[NDArray[np.intp], np.random.Generator], NDArray[np.intp]]


class World:
    """Embeddings of a sensor whose classes lie half elsewhere, and all of it moved by a constant."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        expected, found = (self._directions() for _ in range(2))
        self.means = 0.5 * (expected + found)
        self.offset = self._directions()[0]
        self.head = Head(
            (expected - expected.mean(0)).astype(np.float32), np.zeros(C, np.float32), "multi-class"
        )

    def windows(self, truth: NDArray[np.intp]) -> NDArray[np.float32]:
        noise = self.rng.normal(0, 0.9, (len(truth), D))
        return (self.means[truth] + self.offset + noise).astype(np.float32)

    def truth(self, n: int) -> NDArray[np.intp]:
        return self.rng.integers(0, C, n)

    def teach(self, learner: Learner, teacher: Teacher, n: int) -> list[Change]:
        """Let a teacher teach `n` windows."""
        truth = self.truth(n)
        answers = teacher(truth, self.rng)
        lessons = (Lesson(x, int(a)) for x, a in zip(self.windows(truth), answers, strict=True))
        return [change for lesson in lessons if (change := learner.learn(lesson)) is not None]

    def accuracy(self, learner: Learner) -> tuple[float, float]:
        """Return how often the shipped head is right, and what the session would use."""
        truth = self.truth(2000)
        x = self.windows(truth)
        shipped = self.head.logits(x)
        added = learner.correction(x) if learner.trial.used and learner.correction else 0
        return tuple(float((logits.argmax(1) == truth).mean()) for logits in (shipped, shipped + added))

    def _directions(self) -> NDArray[np.float64]:
        drawn = self.rng.normal(0, 1, (C, D))
        return 3 * drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def honest(truth: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Right in 86.5 % of all windows."""
    return np.where(rng.random(len(truth)) < 0.85, truth, rng.integers(0, C, len(truth)))


def elsewhere(truth: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Sees another room."""
    return rng.permutation(truth)


def permuted(truth: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    return (honest(truth, rng) + 1) % C


def swapping(truth: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Takes two classes for each other, always."""
    answers = honest(truth, rng)
    return np.where(answers == 0, 1, np.where(answers == 1, 0, answers))


def drifting(truth: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Becomes wrong about all classes, slowly."""
    wrong = rng.random(len(truth)) < np.linspace(0, 1, len(truth))
    return np.where(wrong, permuted(truth, rng), honest(truth, rng))


@dataclass(frozen=True)
class Null:
    """A teacher that has nothing to do with the sensor: each favours class 6, and stays with a class.

    `uv run python -m tests.runtime.adapting.world 200` prints how many of 200 runs believe it.

    Attributes:
        teacher: the probability with which a scene of the teacher is class 6, beside chance.
        sensor: likewise of the sensor's.
        long: the probability that the teacher's scene goes on in the next window.
        slow: that the sensor's does.
    """

    teacher: float
    sensor: float
    long: float = 0.0
    slow: float = 0.0

    def believed(self, seed: int, windows: int) -> tuple[bool, bool]:
        """Return whether the correction came into use, and whether the teacher was ever believed."""
        rng = np.random.default_rng(seed)
        d = 8
        weight = rng.normal(0, 1, (C, d))
        weight = 3 * weight / np.linalg.norm(weight, axis=1, keepdims=True)
        learner = Learner(Head(weight.astype(np.float32), np.zeros(C, np.float32), "multi-class"))
        answers = _classes(rng, windows, self.teacher, self.long)
        shown = _classes(rng, windows, self.sensor, self.slow)
        noise = rng.normal(0, 0.5, d) + rng.normal(0, 0.7, (windows, d))
        used, most = False, 0.0
        for x, answer in zip((weight[shown] + noise).astype(np.float32), answers, strict=True):
            learner.learn(Lesson(x, int(answer)))
            used, most = used or learner.trial.used, max(most, learner.trial.related)
        return used, used or most >= 1 / UNRELATED


def _classes(rng: np.random.Generator, n: int, favoured: float, stay: float) -> np.ndarray:
    drawn = np.where(rng.random(n) < favoured, 6, rng.integers(0, C, n))
    for i in np.flatnonzero(rng.random(n - 1) < stay) + 1:
        drawn[i] = drawn[i - 1]
    return drawn


NULLS = [
    Null(0, 0),
    Null(0.6, 0.6),
    Null(0.8, 0.5),
    Null(0.6, 0.6, long=0.5),
    Null(0.6, 0.6, slow=0.8),
    Null(0.8, 0.5, long=0.5, slow=0.5),
]


if __name__ == "__main__":
    for null in NULLS:
        found = [null.believed(seed, 600) for seed in range(int(sys.argv[1]))]
        won, used = sum(won for _, won in found), sum(used for used, _ in found)
        sys.stdout.write(f"{null}: {won} of {len(found)} believed, {used} used\n")
        sys.stdout.flush()
