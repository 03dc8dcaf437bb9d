"""The correction of one sensor's embeddings: a ridge regression from running sums, in closed form.

No window is kept, and old ones count less and less.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.head import Head

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

MEMORY = 512
"""Windows after which one counts a third of a new one."""
PRIOR, WORTH = 2.0, 20.0
"""The weight of the shipped head among the lessons: that of `WORTH` windows that call for `PRIOR` times the
slopes with which it fits the lessons best (that fit is too flat, for the lessons are noisy). Chosen on voices
that an encoder had not heard; BENCHMARKS.md shows others."""


@dataclass(slots=True)
class Sums:
    """Weighted sums of lessons: pairs of an embedding x and the teacher's probabilities q.

    Attributes:
        weight: the sum of the weights w.
        mean: the weighted mean of x, float64 [d].
        target: the weighted mean of q, float64 [C].
        scatter: sum of w (x - mean)(x - mean)^T, float64 [d, d].
        cross: sum of w (x - mean)(q - target)^T, float64 [d, C].
    """

    weight: float
    mean: Doubles
    target: Doubles
    scatter: Doubles
    cross: Doubles

    @classmethod
    def empty(cls, d: int, classes: int) -> "Sums":
        """Return the sums of nothing."""
        return cls(0.0, np.zeros(d), np.zeros(classes), np.zeros((d, d)), np.zeros((d, classes)))

    def add(self, x: NDArray[np.floating], q: NDArray[np.floating], weight: float = 1.0) -> None:
        """Let all lessons so far count a little less, then add one, of a weight above 0.

        The update is West's (Communications of the ACM 22, 1979): it does not cancel where the mean is large,
        as x x^T less mean mean^T does.
        """
        keep = 1 - 1 / MEMORY
        total = keep * self.weight + weight
        step, error = np.asarray(x, np.float64) - self.mean, np.asarray(q, np.float64) - self.target
        share = weight * keep * self.weight / total
        self.scatter = keep * self.scatter + share * np.outer(step, step)
        self.cross = keep * self.cross + share * np.outer(step, error)
        self.mean = self.mean + weight / total * step
        self.target = self.target + weight / total * error
        self.weight = total


@dataclass(frozen=True, slots=True)
class Correction:
    """Moves one sensor's embeddings so that the shipped head gives them other logits.

    The head is linear: moved by pinv(W) times a change of logits, an embedding has its logits changed by
    just that. So whatever pools embeddings and applies the head needs to know of no correction.

    Attributes:
        slopes: float32 [C, d]; times an embedding, plus `bias`, the change of its logits.
        bias: float32 [C].
        inverse: `inverse_of` the head.
    """

    slopes: Floats
    bias: Floats
    inverse: Floats

    def __call__(self, x: Floats) -> Floats:
        """Return embeddings float32 [..., d], moved."""
        return np.asarray(x + (x @ self.slopes.T + self.bias) @ self.inverse.T, np.float32)


def fit(sums: Sums, head: Head, inverse: Floats) -> Correction | None:
    """Return the correction that the lessons of a sensor call for; None while they say nothing.

    A ridge regression of q on x is drawn towards the slopes of the shipped head, scaled to fit the lessons,
    so that few lessons change little; its penalty is in units of the variance in the directions in which the
    embeddings vary most, tr(A^2) / tr(A) of their scatter A. A class that the shipped head denies where the
    teacher names it, and the other way round, keeps the shipped slopes: teacher and head cannot both be right
    about it. Then all slopes are rescaled until the logits vary as much as the shipped head's do on the same
    windows: a correction changes what a sensor says, not how loudly. They are centred on the mean over the
    classes of the mean embedding of each: no class becomes likelier because it was shown more.

    Args:
        sums: of the lessons.
        head: the bundle's.
        inverse: `inverse_of` that.
    """
    shipped = centred(head.weight)
    loud = float((shipped * (sums.scatter @ shipped)).sum())
    if sums.weight <= 1 or loud <= 0:
        return None
    prior = PRIOR * max(float((shipped * sums.cross).sum()) / loud, 0.0) * shipped
    penalty = WORTH * float((sums.scatter**2).sum()) / float(np.trace(sums.scatter)) / sums.weight
    matrix = sums.scatter + penalty * np.eye(len(sums.mean))
    slopes = np.asarray(np.linalg.solve(matrix, sums.cross + penalty * prior), np.float64)
    denied = (shipped * sums.cross).sum(axis=0) <= 0
    slopes[:, denied] = prior[:, denied]
    found = float((slopes * (sums.scatter @ slopes)).sum())
    if not found > 0:
        return None
    slopes *= (loud / found) ** 0.5
    counts = sums.weight * sums.target
    taught = counts >= 1
    centre = sums.mean + (sums.cross[:, taught] / counts[taught]).mean(axis=1) if taught.any() else sums.mean
    bias = -(centre @ slopes) - (head.bias - head.bias.mean())
    change = np.asarray((slopes - shipped).T, np.float32), np.asarray(bias, np.float32)
    return Correction(*change, inverse) if all(np.isfinite(array).all() for array in change) else None


def centred(weight: Floats) -> Doubles:
    """Return the slopes [d, C] of a head's weight [C, d], less their mean: a softmax does not see that."""
    return np.asarray((weight - weight.mean(axis=0, dtype=np.float64)).T, np.float64)


def inverse_of(head: Head) -> Floats:
    """Return pinv(W) of a head's weight W, less the mean over its classes, float32 [d, C]."""
    return np.asarray(np.linalg.pinv(centred(head.weight).T, rcond=1e-3), np.float32)
