"""Ridge regression in closed form from running sums: no window is kept, and old ones count less and less."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(slots=True)
class Sums:
    """Weighted sums of pairs (embedding x, target y), centred on their means.

    Attributes:
        weight: the sum of the weights w.
        mean: the weighted mean of x, float64 [d].
        target: the weighted mean of y, float64 [C].
        scatter: sum of w (x - mean)(x - mean)^T, float64 [d, d].
        cross: sum of w (x - mean)(y - target)^T, float64 [d, C].
    """

    weight: float
    mean: Doubles
    target: Doubles
    scatter: Doubles
    cross: Doubles

    @classmethod
    def empty(cls, d: int, classes: int) -> Self:
        """Return the sums of nothing, for embeddings [d] and targets [classes]."""
        return cls(0.0, np.zeros(d), np.zeros(classes), np.zeros((d, d)), np.zeros((d, classes)))

    def add(self, x: NDArray[np.floating], y: NDArray[np.floating], weight: float = 1.0) -> None:
        """Add a pair: x [d], y [C]; `weight` above 0.

        The update of the mean and of the centred sums is West's (Communications of the ACM 22, 1979): it
        does not cancel where the mean is large, as x x^T less mean mean^T does.
        """
        total = self.weight + weight
        step, error = np.asarray(x, np.float64) - self.mean, np.asarray(y, np.float64) - self.target
        share = weight * self.weight / total
        self.scatter += share * np.outer(step, step)
        self.cross += share * np.outer(step, error)
        self.mean += weight / total * step
        self.target += weight / total * error
        self.weight = total

    def forget(self, factor: float) -> None:
        """Let all pairs so far count `factor` times as much, in (0, 1]."""
        self.weight *= factor
        self.scatter *= factor
        self.cross *= factor

    def solve(self, prior: NDArray[np.floating], penalty: float) -> Doubles:
        """Return the slopes V [d, C] that minimize the squared error, drawn towards `prior` [d, C].

        V minimizes sum of w |y - target - V^T (x - mean)|^2 + penalty |V - prior|^2 (Frobenius), which is
        V = (scatter + penalty I)^-1 (cross + penalty prior). With no pairs it is the prior.
        """
        matrix = self.scatter + penalty * np.eye(len(self.mean))
        return np.asarray(np.linalg.solve(matrix, self.cross + penalty * prior), np.float64)
