"""Scores of predictions: accuracy for multi-class tasks, mean average precision for multi-label tasks."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.auditing.resampling import mean_average_precision
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.errors import SensembleRuntimeError

METRICS: dict[Task, str] = {"multi-class": "accuracy", "multi-label": "mAP"}


class ScoreError(SensembleRuntimeError):
    """Probabilities or labels cannot be scored: wrong shapes, NaN, or labels out of range."""


def score(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer] | NDArray[np.bool_], task: Task
) -> float:
    """Return the accuracy or the mean average precision, a fraction in [0, 1].

    `probabilities` are floating [N, C], N > 0; any increasing function of them scores the same. `labels` are
    integers [N] in [0, C) or, multi-label, 0, 1 or bool [N, C] with at least one 1. Others raise ScoreError.
    """
    if probabilities.ndim != 2 or not probabilities.size:
        raise ScoreError(f"probabilities have the shape {probabilities.shape}, not [N, C] with N, C > 0")
    if not np.isfinite(probabilities).all():
        raise ScoreError("probabilities hold NaN or infinity")
    if task == "multi-class":
        return _accuracy(probabilities, labels)
    return _mean_average_precision(probabilities, labels)


def score_subsets(
    predictions: NDArray[np.floating],
    present: Mapping[str, NDArray[np.bool_]],
    labels: NDArray[np.integer] | NDArray[np.bool_],
    task: Task,
) -> dict[str, float]:
    """Return the score of each subset by name, smallest first, on the examples with all its modalities."""
    scores = {}
    for subset, predicted in zip(subsets.measured(present), predictions, strict=True):
        has = np.all([present[m] for m in subset], axis=0)
        if has.any():
            scores[subsets.name(subset)] = score(predicted[has], labels[has], task)
    return scores


def chance(labels: NDArray[np.integer] | NDArray[np.bool_], task: Task) -> float:
    """Return the score of constant answers: always the commonest label, or one ranking for all."""
    if task == "multi-class":
        return float(np.bincount(labels).max() / len(labels))
    return score(np.zeros(labels.shape), labels, task)


def _accuracy(probabilities: NDArray[np.floating], labels: NDArray[np.integer] | NDArray[np.bool_]) -> float:
    n, classes = probabilities.shape
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        raise ScoreError(f"multi-class labels are {labels.dtype} {labels.shape}, not integers ({n},)")
    if labels.min() < 0 or labels.max() >= classes:
        raise ScoreError(f"labels lie in [{labels.min()}, {labels.max()}], not in [0, {classes - 1}]")
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def _mean_average_precision(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer] | NDArray[np.bool_]
) -> float:
    if labels.shape != probabilities.shape or not np.isin(labels, (0, 1)).all():
        raise ScoreError(
            f"multi-label labels are {labels.dtype} {labels.shape}, not zeros and ones {probabilities.shape}"
        )
    if not labels.any():
        raise ScoreError("multi-label labels hold no positive at all")
    once = np.ones((len(labels), 1), np.uint8)
    return float(mean_average_precision(probabilities, labels.astype(bool), [once])[0])
