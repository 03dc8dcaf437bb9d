"""Confidence intervals of scores, where examples may come in groups that are not independent.

Examples of one group (a person, a recording: `Example.group`) are right or wrong together, so that a hundred
of them say less than a hundred strangers would. Accuracy gets Wilson's interval (Wilson 1927; recommended by
Brown, Cai and DasGupta 2001) at the effective sample size, n over the design effect 1 + (m - 1) rho (Kish
1965): unlike a bootstrap, it does not shrink to nothing where every example is right, nor where there are few
groups. Mean average precision has no such form: it gets a bootstrap that draws whole groups.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.auditing.scores import score
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.subsets import SubsetScore

LEVEL = 0.95
RESAMPLES = 1000
_SEED = 0
_AT_ONCE = 1 << 26  # weights, a byte each, that a bootstrap holds at a time

Range = tuple[float, float]


def wilson(successes: float, n: float, level: float = LEVEL) -> Range:
    """Return Wilson's score interval (low, high) of a proportion, within [0, 1].

    Args:
        successes: in [0, n]; with an effective sample size, neither needs to be whole.
        n: the number of independent trials, over 0.
        level: the confidence, in (0, 1).

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 <= successes <= n or not 0 < n < math.inf or not 0 < level < 1:
        raise ValueError(f"{successes} of {n} at level {level} is no proportion with a confidence interval")
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, spread = successes / n, z * z / n
    centre = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (rate * (1 - rate) + spread / 4)) / (1 + spread)
    # Exact at the ends, where rounding would leave the estimate a hair outside.
    return 0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half


def group_codes(groups: Sequence[str | None]) -> NDArray[np.int64]:
    """Number the groups of examples, int64 [N] from 0; an example of no group (None) is one by itself."""
    codes: dict[str | int, int] = {}
    keys = (index if group is None else group for index, group in enumerate(groups))
    return np.array([codes.setdefault(key, len(codes)) for key in keys], dtype=np.int64)


def effective_size(correct: NDArray[np.bool_], groups: NDArray[np.integer]) -> float:
    """Return the number of independent examples that tell as much of the accuracy as these N.

    It lies between the number of groups (for groups of one size) and N, by the intraclass correlation rho,
    estimated by analysis of variance. Where all examples are right, or all wrong, nothing shows what groups
    share, and rho is taken as 1.

    Args:
        correct: bool [N], N > 0.
        groups: the group of each, integers [N].
    """
    n = len(correct)
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) == n:
        return float(n)
    kish = n * n / float(np.sum(sizes.astype(float) ** 2))  # the size at rho = 1
    rate = correct.mean()
    if len(sizes) == 1 or rate in (0, 1):
        return kish
    means = np.bincount(codes, correct) / sizes
    between = float(sizes @ (means - rate) ** 2) / (len(sizes) - 1)
    within = float(sizes @ (means * (1 - means))) / (n - len(sizes))
    usual = (n - n / kish) / (len(sizes) - 1)  # the size of a group, for unequal ones
    rho = (between - within) / (between + (usual - 1) * within)
    return n / (1 + (n / kish - 1) * min(1.0, max(0.0, rho)))


def proportion(correct: NDArray[np.bool_], groups: NDArray[np.integer], level: float = LEVEL) -> Range:
    """Return Wilson's interval of the share of `correct`, bool [N], at their `effective_size`."""
    n = effective_size(correct, groups)
    return wilson(float(correct.mean()) * n, n, level)


def subset_scores(
    predictions: NDArray[np.floating],
    present: Mapping[str, NDArray[np.bool_]],
    labels: NDArray[np.integer] | NDArray[np.bool_],
    task: Task,
    groups: NDArray[np.integer],
) -> dict[str, SubsetScore]:
    """Return the score of each subset with its interval, on the examples that have all its modalities.

    They are by name and smallest first; a subset without such examples is left out.

    Args:
        predictions: floating [2^n - 1, N, C], in the order of `pooling.pool_subsets`.
        present: modality -> bool [N], whether each example has it.
        labels: as `scores.score` takes them.
        task: `multi-class` or `multi-label`.
        groups: the group of each example, integers [N], as `group_codes` returns.

    Raises:
        ScoreError: as `scores.score`.
    """
    found = {}
    for subset, predicted in zip(subsets.subsets(present), predictions, strict=True):
        has = np.all([present[m] for m in subset], axis=0)
        if not has.any():
            continue
        value = score(predicted[has], labels[has], task)
        if task == "multi-class":
            low, high = proportion(predicted[has].argmax(axis=1) == labels[has], groups[has])
        else:
            drawn = average_precisions(predicted[has], labels[has], groups[has])
            low, high = percentiles(drawn, value, len(np.unique(groups[has])))
        found[subsets.name(subset)] = SubsetScore(value, int(has.sum()), low, high)
    return found


def percentiles(resampled: NDArray[np.floating], value: float, groups: int, level: float = LEVEL) -> Range:
    """Return the percentile interval of a bootstrap, stretched to hold the `value` that it is of.

    Where all resamples score 0 or 1, as of perfect rankings, it is Wilson's for as many `groups`.

    Args:
        resampled: the scores [B]; NaN where a resample has none.
        value: the score of all examples, in [0, 1].
        groups: the number that was drawn from.
        level: the confidence.
    """
    if value in (0, 1) and np.nanstd(resampled) == 0:
        return wilson(value * groups, groups, level)
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return min(float(low), value), max(float(high), value)


def resamples(groups: NDArray[np.integer]) -> Iterator[NDArray[np.uint8]]:
    """Yield how often each of `RESAMPLES` bootstrap resamples draws each example, uint8 [N, B] in parts.

    Whole groups are drawn, with replacement, as many as there are. The same groups give the same weights, so
    that two scores of the same examples can be compared resample by resample.
    """
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
) -> NDArray[np.float64]:
    """Return the mean average precision of each bootstrap resample, float64 [`RESAMPLES`].

    Each is what `scores.score` gives for the drawn examples; NaN where no class was drawn.

    Args:
        probabilities: floating [N, C].
        labels: 0, 1 or bool [N, C].
        groups: the group of each example, integers [N].
    """
    positive = labels.astype(bool)
    classes = [_Ranking(probabilities[:, c], positive[:, c]) for c in np.flatnonzero(positive.any(axis=0))]
    parts = []
    for weights in resamples(groups):
        total, counted = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
        for ranking in classes:
            hits, precision = ranking.weighed(weights)
            drawn = hits.sum(axis=0)
            has = drawn > 0
            total[has] += (hits * precision).sum(axis=0)[has] / drawn[has]
            counted += has
        parts.append(np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0))
    return np.concatenate(parts)


class _Ranking:
    """The examples of one class by falling score, cut after each distinct score that a positive has."""

    def __init__(self, scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> None:
        order = np.argsort(-scores, kind="stable")
        run = np.cumsum(np.append(0, np.diff(scores[order]) != 0))  # the rank of the score, ties sharing one
        found = np.flatnonzero(positive[order])
        runs, starts = np.unique(run[found], return_index=True)
        ends = np.searchsorted(run, runs, side="right")
        self.order = order[: ends[-1]]
        self.starts = np.append(0, ends[:-1])
        self.positives = order[found]
        self.positive_starts = starts

    def weighed(self, weights: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return for each cut the weight of its positives and the precision down to it, both [cuts, B]."""
        hits = np.add.reduceat(weights[self.positives], self.positive_starts, axis=0, dtype=np.int64)
        seen = np.add.reduceat(weights[self.order], self.starts, axis=0, dtype=np.int64)
        return hits, np.cumsum(hits, axis=0) / np.maximum(np.cumsum(seen, axis=0), 1)
