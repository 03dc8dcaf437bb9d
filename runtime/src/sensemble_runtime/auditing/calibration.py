"""Calibration statistics: temperatures, powers and conformal thresholds of subsets.

Temperature and threshold are fitted on the same examples: an example's score, the logit by which its truth
falls short of the best class, scales with the temperature as the threshold does, so the candidates stay the
same. So is the power, one of `POWERS`: the guarantee is exact for each, and nearly so for the chosen one (a
cost of sqrt(log K / n); Yang and Kuchibhotla, 2021).

Examples of one group (a person) resemble each other, so the guarantee is for an example of a new group:
groups are what is exchangeable (Lee, Barber and Willett, 2023, hierarchical conformal prediction).
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.head import probabilities, scaled
from sensemble_runtime.bundle.manifest import SubsetCalibration, Task

Floats = NDArray[np.floating]
Labels = NDArray[np.integer] | NDArray[np.bool_]

ALPHA = 0.1  # the share of candidate sets that may lack the truth
LEAST = 30  # examples below which no temperature is fitted
FOLDS = 5  # parts of the groups; a power must predict each part best by a temperature fitted on the others
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)  # of the confidence; see `head.scaled`
_RANGE = (1e-2, 1e2)  # of temperatures
_HALVINGS = 40  # of that range, on a logarithmic scale: to a part in 10^11
_SLACK = 1e-4  # of calibrated logits; float32 rounds them to a few millionths
_TINY = 1e-30  # a threshold below which float32 probabilities lose their digits: every class is a candidate


def calibrate(
    logits: Floats,
    present: Mapping[str, NDArray[np.bool_]],
    labels: Labels,
    task: Task,
    alpha: float = ALPHA,
    groups: NDArray[np.integer] | None = None,
    *,
    added: bool = False,
) -> dict[str, SubsetCalibration]:
    """Fit each subset that has examples with all its modalities, by name and smallest first.

    Args:
        logits: floating [S, N, C], in the order of `pooling.pool_subsets`.
        present: modality -> bool [N], whether each example has it.
        labels: integers [N] in [0, C), or 0 and 1 [N, C] with at least one 1 each if the task is multi-label.
        groups: of the examples, integers [N]; None: each is independent of the others.
        added: add up the logits of n modalities, by a temperature of 1 / n, for too few examples to fit one.
    """
    groups = np.arange(len(labels)) if groups is None else groups
    fitted = {}
    for subset, own in zip(subsets.measured(present), logits, strict=True):
        has = np.all([present[m] for m in subset], axis=0)
        if has.any():
            power = choose_power(own[has], labels[has], task, groups[has])
            powered = scaled(own[has].astype(np.float64), 1.0, power, task)
            few = 1 / len(subset) if added else 1.0
            temperature = fit_temperature(powered, labels[has], task, few=few)
            limit = quantile(shortfalls(powered, labels[has], task), alpha, groups[has])
            threshold, count = share(limit / temperature, task), len(np.unique(groups[has]))
            entry = SubsetCalibration(temperature, power, threshold, int(has.sum()), count)
            fitted[subsets.name(subset)] = entry
    return fitted


def choose_power(logits: Floats, labels: Labels, task: Task, groups: NDArray[np.integer]) -> float:
    """Return the power of `POWERS` that makes the labels of groups left out most likely.

    One temperature does not serve a modality of which some windows say everything and some nothing, such as
    captions. The power is 0 for fewer examples or groups than a fold needs, and in a multi-label task, where
    no class has to be the right one.
    """
    places = np.unique(groups, return_inverse=True)[1]
    if task == "multi-label" or len(logits) < FOLDS * LEAST or places.max() + 1 < FOLDS:
        return 0.0
    likelihoods = []
    for power in POWERS:
        powered, total = scaled(logits.astype(np.float64), 1.0, power, task), 0.0
        for fold in range(FOLDS):
            held = places % FOLDS == fold
            calm = powered[held] / fit_temperature(powered[~held], labels[~held], task)
            rows = np.arange(len(calm))
            total += float((calm[rows, labels[held]] - np.logaddexp.reduce(calm, axis=1)).sum())
        likelihoods.append(total)
    return POWERS[int(np.argmax(likelihoods))]


def fit_temperature(
    logits: Floats, labels: Labels, task: Task, least: int = LEAST, few: float = 1.0
) -> float:
    """Return the temperature with the least cross-entropy, from 0.01 to 100; `few` for fewer than `least`.

    The cross-entropy is convex in the inverse temperature: the one root of its slope is bracketed and halved
    (Guo et al., 2017). As in Platt's scaling (1999), a pseudo-example spread over all classes keeps it finite
    where every example is right.
    """
    n, classes = logits.shape
    if n < least:
        return few
    exact = logits.astype(np.float64, copy=False)
    target = (np.eye(classes)[labels] if task == "multi-class" else labels.astype(np.float64)) * n
    target = (target + (1 / classes if task == "multi-class" else 0.5)) / (n + 1)
    wanted = float((target * exact).sum())
    low, high = (math.log(1 / bound) for bound in reversed(_RANGE))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = float((probabilities(exact * math.exp(middle), task) * exact).sum())
        low, high = (middle, high) if expected < wanted else (low, middle)
    return math.exp(-(low + high) / 2)


def shortfalls(logits: Floats, labels: Labels, task: Task) -> Floats:
    """Return the nonconformity score of each example, floating [N].

    Multi-class: the largest logit of another class less that of the truth. Multi-label: the least logit of a
    true label, negated.
    """
    if task == "multi-label":
        return np.asarray(-np.where(labels.astype(bool), logits, np.inf).min(axis=1))
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, labels] = -np.inf
    return np.asarray(others.max(axis=1) - logits[rows, labels])


def quantile(scores: Floats, alpha: float, groups: NDArray[np.integer]) -> float:
    """Return the score that one of a new group exceeds with a probability of at most alpha.

    Each of G groups weighs 1 / (G + 1), shared among its scores, and the rest lies at infinity (Lee, Barber
    and Willett, 2023, Theorem 1). Of groups of one, it is the score of rank ceil((G + 1)(1 - alpha)) (Vovk et
    al., 2005). Infinity if there are fewer groups than `groups_needed`.
    """
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    weights = np.cumsum(1 / sizes[places][order])
    # Sums of shares are a little off: a rank of exactly (G + 1)(1 - alpha) must be reached.
    rank = int(np.searchsorted(weights, (len(sizes) + 1) * (1 - alpha) - 1e-9))
    return math.inf if rank == len(scores) else float(scores[order[rank]])


def share(limit: float, task: Task) -> float:
    """Return the threshold in [0, 1] in terms of probabilities for a limit on shortfalls of logits.

    Multi-class: the least ratio of a candidate's probability to the largest one; a negative limit counts as
    0, as the most probable class is always a candidate. Multi-label: the least probability.
    """
    # Equal inputs, such as a caption that comes again, have equal scores, and rounding must not part them.
    if task == "multi-class":
        least = math.exp(-max(limit, 0.0) - _SLACK)
    else:
        least = float(probabilities(np.array(-limit - _SLACK), task))
    return least if least > _TINY else 0.0
