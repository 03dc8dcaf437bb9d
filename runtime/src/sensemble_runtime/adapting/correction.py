"""The correction of one sensor's opinion: the logits that the running sums of its lessons call for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.adapting.ridge import Sums
from sensemble_runtime.bundle.head import Head

Floats = NDArray[np.float32]

PRIOR, WORTH = 2.0, 20.0
"""The weight of the shipped head among the lessons: that of `WORTH` windows that call for `PRIOR` times the
slopes with which it fits the lessons best (that fit is too flat, for the lessons are noisy). Chosen on voices
that an encoder had not heard; BENCHMARKS.md shows others."""


@dataclass(frozen=True, slots=True)
class Correction:
    """An affine map from one sensor's embeddings to logits, in place of the head's own.

    Attributes:
        weight: float32 [C, d].
        bias: float32 [C].
    """

    weight: Floats
    bias: Floats

    def logits(self, embedding: Floats) -> Floats:
        """Return logits float32 [..., C] of embeddings float32 [..., d]."""
        return embedding @ self.weight.T + self.bias


def fit(sums: Sums, head: Head) -> Correction | None:
    """Return the correction that the lessons of a sensor call for; None while they say nothing.

    The lessons are pairs of an embedding x and the teacher's probabilities q. A ridge regression of q on x
    (`Sums.solve`) gives the slopes. It is drawn towards the slopes of the shipped head, scaled to fit the
    lessons, so that few lessons change little; its penalty is in units of the variance in the directions in
    which the embeddings vary most, tr(A^2) / tr(A) of their scatter A. A class that the shipped head denies
    where the teacher names it, and the other way round, keeps the shipped slopes: teacher and head cannot
    both be right about it. Then all slopes are rescaled until the logits vary as much as the shipped head's
    do on the same windows: a correction changes what a sensor says, not how loudly. They are centred on the
    mean over the classes of the mean embedding of each: no class becomes likelier because it was shown more.
    """
    shipped = centred(head.weight)
    loud = spread(sums, shipped)
    if sums.weight <= 1 or loud <= 0:
        return None
    agreement = float((shipped * sums.cross).sum()) / (loud * sums.weight)
    prior = PRIOR * max(agreement, 0.0) * shipped
    varied = float((sums.scatter**2).sum()) / float(np.trace(sums.scatter)) / sums.weight
    slopes = sums.solve(prior, WORTH * varied)
    denied = (shipped * sums.cross).sum(axis=0) <= 0
    slopes[:, denied] = prior[:, denied]
    found = spread(sums, slopes)
    if found <= 0:
        return None
    slopes *= (loud / found) ** 0.5
    bias = -(balanced_mean(sums) @ slopes)
    return Correction(slopes.T.astype(np.float32), bias.astype(np.float32))


def centred(weight: Floats) -> NDArray[np.float64]:
    """Return the slopes [d, C] of a head's weight [C, d], less their mean: a softmax does not see that."""
    slopes: NDArray[np.float64] = weight.astype(np.float64).T
    return np.asarray(slopes - slopes.mean(axis=1, keepdims=True), np.float64)


def spread(sums: Sums, slopes: NDArray[np.float64]) -> float:
    """Return the variance of the logits that slopes [d, C] give on the windows of the lessons, summed."""
    return float((slopes * (sums.scatter @ slopes)).sum()) / max(sums.weight, 1e-9)


def balanced_mean(sums: Sums) -> NDArray[np.float64]:
    """Return the mean over the classes that were taught of the mean embedding of each, [d]."""
    counts = sums.weight * sums.target
    taught = counts >= 1
    if not taught.any():
        return sums.mean
    offsets = sums.cross[:, taught] / counts[taught]
    return np.asarray(sums.mean + offsets.mean(axis=1), np.float64)
