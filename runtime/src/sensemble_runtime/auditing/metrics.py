"""Metrics: accuracy for multi-class tasks, mean average precision for multi-label ones; their resamples."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.errors import SensembleRuntimeError

METRICS: dict[Task, str] = {"multi-class": "accuracy", "multi-label": "mAP"}
RESAMPLES = 1000
_SEED = 0
_AT_ONCE = 1 << 26  # weights, a byte each, that are held at a time


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


def resamples(groups: NDArray[np.integer]) -> Iterator[NDArray[np.uint8]]:
    """Yield how often each of `RESAMPLES` bootstrap resamples draws each example, uint8 [N, B] in parts."""
    # Whole groups are drawn. The same groups give the same weights, so that two scores can be compared.
    random = np.random.default_rng(_SEED)
    _, codes = np.unique(groups, return_inverse=True)
    count = int(codes.max()) + 1
    part = max(1, min(RESAMPLES, _AT_ONCE // len(codes)))
    for start in range(0, RESAMPLES, part):
        width = min(part, RESAMPLES - start)
        drawn = random.integers(count, size=(width, count))
        flat = (drawn + np.arange(width)[:, None] * count).ravel()
        weights = np.bincount(flat, minlength=width * count).reshape(width, count)
        yield np.minimum(weights.T, 255).astype(np.uint8)[codes]


def average_precisions(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer] | NDArray[np.bool_],
    groups: NDArray[np.integer],
    has: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the mean average precision of each resample of the examples in `has`, bool [N]; or NaN."""
    weights = (drawn[has] for drawn in resamples(groups))
    return mean_average_precision(probabilities[has], labels[has].astype(bool), weights)


def mean_average_precision(
    probabilities: NDArray[np.floating], positive: NDArray[np.bool_], weights: Iterable[NDArray[np.uint8]]
) -> NDArray[np.float64]:
    """Return the mean average precision [B] of examples weighed by [N, B] in parts; NaN without a positive.

    The mean, over the classes that have positives, of sum_n (R_n - R_{n-1}) P_n over distinct thresholds
    (scikit-learn's `average_precision_score`).
    """
    classes = [_Ranking(probabilities[:, c], positive[:, c]) for c in np.flatnonzero(positive.any(axis=0))]
    parts = []
    for part in weights:
        total, counted = np.zeros(part.shape[1]), np.zeros(part.shape[1])
        for ranking in classes:
            hits, precision = ranking.weighed(part)
            positives = hits.sum(axis=0)
            total += (hits * precision).sum(axis=0) / np.maximum(positives, 1)
            counted += positives > 0
        parts.append(np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0))
    return np.concatenate(parts)


class _Ranking:
    """The examples of one class by falling score, cut after each distinct score that a positive has."""

    def __init__(self, scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> None:
        order = np.argsort(-scores, kind="stable")
        run = np.cumsum(np.append(0, np.diff(scores[order]) != 0))  # the rank of the score, ties sharing one
        places = np.flatnonzero(positive[order])
        runs, self.positive_starts = np.unique(run[places], return_index=True)
        ends = np.searchsorted(run, runs, side="right")
        self.order = order[: ends[-1]]
        self.starts = np.append(0, ends[:-1])
        self.positives = order[places]

    def weighed(self, weights: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return for each cut the weight of its positives and the precision down to it, both [cuts, B]."""
        hits = np.add.reduceat(weights[self.positives], self.positive_starts, axis=0, dtype=np.int64)
        seen = np.add.reduceat(weights[self.order], self.starts, axis=0, dtype=np.int64)
        return hits, np.cumsum(hits, axis=0) / np.maximum(np.cumsum(seen, axis=0), 1)
