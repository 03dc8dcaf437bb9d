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
SLOPE, WEIGHT = 2.0, 20.0
"""The prior: `WEIGHT` windows that call for `SLOPE` times the shipped slopes as they fit the lessons best.

That fit is too flat, because the lessons are noisy. Chosen on voices that an encoder had not heard."""


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
        """Decay the sums, then add a lesson of a weight above 0.

        West's update (Communications of the ACM 22, 1979) does not cancel where the mean is large.
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
    """Adds `slopes` x + `bias` to the logits of one sensor's embeddings x.

    The head is linear: an embedding moved by pinv(W), its `inverse`, times a change of logits gets just that
    change. So pooling and the head need not know of corrections.
    """

    slopes: Floats
    bias: Floats
    inverse: Floats

    def __call__(self, x: Floats) -> Floats:
        """Return embeddings float32 [..., d], moved."""
        return np.asarray(x + (x @ self.slopes.T + self.bias) @ self.inverse.T, np.float32)


def fit(sums: Sums, head: Head, inverse: Floats) -> Correction | None:
    """Return the correction that the lessons of a sensor call for; None while they say nothing.

    - A ridge regression of q on x is drawn towards the prior; its penalty is in units of the largest
      variances, tr(A^2) / tr(A) of the scatter A.
    - A class on which teacher and shipped head disagree in sign keeps the shipped slopes.
    - The slopes are rescaled to the variance of the shipped logits: a correction changes the opinion, not its
      strength. They are centred on the mean of the class means, so that the frequent are no likelier.
    """
    shipped = centred(head.weight)
    variance = _variance(shipped, sums)
    if sums.weight <= 1 or variance <= 0:
        return None
    prior = SLOPE * max(float((shipped * sums.cross).sum()) / variance, 0.0) * shipped
    penalty = WEIGHT * float((sums.scatter**2).sum()) / float(np.trace(sums.scatter)) / sums.weight
    matrix = sums.scatter + penalty * np.eye(len(sums.mean))
    slopes = np.asarray(np.linalg.solve(matrix, sums.cross + penalty * prior), np.float64)
    denied = (shipped * sums.cross).sum(axis=0) <= 0
    slopes[:, denied] = prior[:, denied]
    fitted = _variance(slopes, sums)
    if not fitted > 0:
        return None
    slopes *= (variance / fitted) ** 0.5
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


def _variance(slopes: Doubles, sums: Sums) -> float:
    return float((slopes * (sums.scatter @ slopes)).sum())
