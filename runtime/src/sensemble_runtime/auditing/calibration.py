"""Calibration statistics: temperatures, powers and conformal thresholds of subsets.

Temperature and threshold are fitted on the same examples, which is sound here: the score of an example, the
logit by which its truth falls short of the best class, scales with the temperature as the threshold does. The
candidates are thus the same for every temperature, and calibration examples and new ones stay exchangeable.
The power is one of `POWERS`, chosen on the same examples too: the guarantee is exact for each of them, and
nearly for the chosen one. The worst that choosing among K can cost falls as sqrt(log K / n) (Yang and
Kuchibhotla, 2021); what it does cost was measured, and is nothing from `LEAST_FOR_POWER` examples on.
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

ALPHA = 0.1
"""The share of candidate sets that may lack the truth."""
LEAST = 30
"""Examples below which no temperature is fitted."""
LEAST_FOR_POWER = 100
"""Examples below which no power is chosen: at 30, choosing costs 0.7 points of coverage."""
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Of the confidence; see `bundle.head.scaled`."""
_RANGE = (1e-6, 1e3)  # of temperatures
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
) -> dict[str, SubsetCalibration]:
    """Fit each subset, by name and smallest first, on the examples with all its modalities.

    A subset without such examples is left out.

    Args:
        logits: floating [2^n - 1, N, C], in the order of `pooling.pool_subsets`.
        present: modality -> bool [N], whether each example has it.
        labels: integers [N] in [0, C), or 0 and 1 [N, C] with at least one 1 each if the task is multi-label.
        task: `multi-class` or `multi-label`.
        alpha: the share of candidate sets that may lack the truth, in (0, 1).
        groups: the number of each example's group, integers [N]; None: each is independent of the others.
    """
    groups = np.arange(len(labels)) if groups is None else groups
    fitted = {}
    for subset, found in zip(subsets.subsets(present), logits, strict=True):
        has = np.all([present[m] for m in subset], axis=0)
        if has.any():
            power = choose_power(found[has], labels[has], task, len(np.unique(groups[has])))
            powered = scaled(found[has].astype(np.float64), 1.0, power, task)
            temperature = fit_temperature(powered, labels[has], task)
            limit = quantile(shortfalls(powered, labels[has], task), alpha)
            threshold = share(limit / temperature, task)
            fitted[subsets.name(subset)] = SubsetCalibration(temperature, power, threshold, int(has.sum()))
    return fitted


def choose_power(logits: Floats, labels: Labels, task: Task, independent: int) -> float:
    """Return the power of `POWERS` whose own temperature makes the labels most likely.

    One temperature does not serve a modality of which some windows say everything and some nothing, such as
    captions. As a second parameter, a power must raise the log-likelihood by more than 1 (Akaike, 1974), of
    independent examples. It is 0 for fewer examples than `LEAST_FOR_POWER`, and in a multi-label task, where
    no class has to be the right one.

    Args:
        logits: floating [N, C].
        labels: as `calibrate` takes them.
        task: `multi-class` or `multi-label`.
        independent: how many of the examples tell something new, from 1 to N: the number of groups.
    """
    if task == "multi-label" or len(logits) < LEAST_FOR_POWER:
        return 0.0
    rows, likelihoods = np.arange(len(logits)), []
    for power in POWERS:
        powered = scaled(logits.astype(np.float64), 1.0, power, task)
        calm = powered / fit_temperature(powered, labels, task)
        likelihoods.append(float((calm[rows, labels] - np.logaddexp.reduce(calm, axis=1)).sum()))
    best = int(np.argmax(likelihoods))
    gain = (likelihoods[best] - likelihoods[0]) * independent / len(logits)
    return POWERS[best] if gain > 1 else 0.0


def fit_temperature(logits: Floats, labels: Labels, task: Task) -> float:
    """Return the temperature with the least cross-entropy, from 0.000001 to 1000; 1 for fewer than `LEAST`.

    The cross-entropy is convex in the inverse temperature, so its slope has one root, which is bracketed and
    halved. As in Platt's scaling of sigmoids (1999), a pseudo-example spread over all classes keeps it finite
    where every example is right.

    Args:
        logits: floating [N, C].
        labels: as `calibrate` takes them.
        task: `multi-class` (Guo et al., 2017) or `multi-label` (a sigmoid for each class).
    """
    n, classes = logits.shape
    if n < LEAST:
        return 1.0
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

    Multi-class: the largest logit of another class less that of the truth; below 0 if the truth is ahead.
    Multi-label: the least logit of a true label, negated.
    """
    if task == "multi-label":
        return np.asarray(-np.where(labels.astype(bool), logits, np.inf).min(axis=1))
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, labels] = -np.inf
    found: Floats = others.max(axis=1) - logits[rows, labels]
    return found


def quantile(scores: Floats, alpha: float) -> float:
    """Return the score of rank ceil((n + 1)(1 - alpha)) of n; infinity if there are too few for that rank.

    A new score, exchangeable with these, is at most that with a probability of at least 1 - alpha (Vovk et
    al., 2005; Lei et al., 2018). Over the draw of the n, that probability is Beta(k, n + 1 - k) distributed
    for the rank k, if scores are distinct.
    """
    # Rounded first: 10 * (1 - 0.1) is a little more than 9.
    rank = math.ceil(round((len(scores) + 1) * (1 - alpha), 9))
    return math.inf if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])


def share(limit: float, task: Task) -> float:
    """Return the threshold in terms of probabilities, in [0, 1], for a limit on shortfalls of logits.

    Multi-class: the least ratio of a candidate's probability to the largest one. A negative limit counts as
    0: the most probable class is always a candidate, so the sets may err in fewer than alpha of all cases.
    Multi-label: the least probability.
    """
    # Equal inputs, such as a caption that comes again, have equal scores, and rounding must not part them.
    if task == "multi-class":
        least = math.exp(-max(limit, 0.0) - _SLACK)
    else:
        least = float(probabilities(np.array(-limit - _SLACK), task))
    return least if least > _TINY else 0.0
