"""Calibration: temperatures and powers of modalities, and the threshold of sure answers.

A temperature and a power, one of `POWERS`, make the confidence of a modality's opinions match how often they
are right. The threshold bounds the answers that are sure and wrong, by conformal risk control (Angelopoulos
et al., 2024, Theorem 1): if the share of a person's answers that are sure and wrong is at most B and falls as
the threshold rises, the least threshold with (sum of the shares of G people + B) / (G + 1) <= risk keeps the
expected share of a new person to the risk. People are what is exchangeable: examples of one person are right
or wrong together.

B is the share of the worst person seen, at the same threshold. With B = 1, which nobody can pass, 22 people
may spend 0.7 % of the 5 % that are promised, and half of the right answers are held back. Only a person worse
than everybody seen passes the bound: one in G + 1 does, and counts by the difference. Where each person gives
one answer, B is 1 as soon as one of them is sure and wrong, and the risk is kept exactly. Simulated people
with rates of error from alike to extreme, and real ones divided anew, had 5.1 % sure and wrong at most
(`BENCHMARKS.md` of `runtime`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import EvidenceByModality, plain
from sensemble_runtime.bundle.head import probabilities, scaled
from sensemble_runtime.bundle.manifest import ModalityCalibration, Task, groups_needed
from sensemble_runtime.engine.answer import SURE, answer
from sensemble_runtime.engine.belief import RARE, carried

Floats = NDArray[np.floating]
Labels = NDArray[np.integer] | NDArray[np.bool_]

RISK = 0.05  # the share of a new group's answers that may be sure and wrong
CONFIDENT = 0.9  # the confidence from which answers are sure where groups are too few to promise the risk
LEAST = 30  # examples below which no temperature is fitted
FOLDS = 5  # parts of the groups; a power must predict each part best by a temperature fitted on the others
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)  # of the confidence; see `head.scaled`
MAJORITY = 0.5  # the confidence below which no answer is sure: it is more likely wrong than right
REDUNDANT = 0.5  # the redundancy if there are too few examples to fit it
UNFAMILIAR = 0.02  # the share of known windows below the limit; one window is always allowed
UNFAMILIAR_OF_ONE = 0.05  # the largest such share of a single group
_SHRINK, _ALIKE = 2.0, 4.0  # pseudo-groups with a temperature of 1, and with that of all modalities
_TINY = 1e-12  # of a probability
_RANGE = (1e-2, 1e2)  # of temperatures
_HALVINGS = 40  # of that range, on a logarithmic scale: to a part in 10^11
_DRAWS = 20  # tries to find a window of another class and another group
_STRIDE = 0.618  # of the examples, from one try to the next: those of a class lie beside each other


def calibrate(
    logits: Mapping[str, Floats],
    present: Mapping[str, NDArray[np.bool_]],
    labels: Labels,
    task: Task,
    groups: NDArray[np.integer],
) -> dict[str, ModalityCalibration]:
    """Fit each modality that has examples.

    Args:
        logits: by modality, floating [N, C].
        present: by modality, bool [N], whether each example has it.
        labels: integers [N] in [0, C), or 0 and 1 [N, C] with at least one 1 each if the task is multi-label.
        groups: of the examples, integers [N].
    """
    powers, scaled_logits, counts = {}, {}, {}
    for modality, own in logits.items():
        has = present[modality]
        if has.any():
            powers[modality] = choose_power(own[has], labels[has], task, groups[has])
            scaled_logits[modality] = scaled(own[has].astype(np.float64), 1.0, powers[modality], task)
            counts[modality] = int(has.sum()), len(np.unique(groups[has]))
    if not powers:
        return {}
    # Few persons say little of the next one, and less of one modality than of all.
    every = np.concatenate([labels[present[m]] for m in powers])
    common = math.log(fit_temperature(np.concatenate(list(scaled_logits.values())), every, task))
    fitted = {}
    for modality, (examples, persons) in counts.items():
        own_temperature = fit_temperature(scaled_logits[modality], labels[present[modality]], task)
        apart = (math.log(own_temperature) - common) * persons / (persons + _ALIKE)
        temperature = math.exp(common * persons / (persons + _SHRINK) + apart)
        fitted[modality] = ModalityCalibration(temperature, powers[modality], examples, persons)
    return fitted


def fit_redundancy(
    evidence: EvidenceByModality, present: Mapping[str, NDArray[np.bool_]], labels: Labels, task: Task
) -> float:
    """Return the redundancy by which the answers of sets make the labels most likely, one of eleven.

    `REDUNDANT` where fewer than `LEAST` examples have two modalities. All windows show one of the classes, so
    none is doubted. The arguments are those of `fit_threshold`.
    """
    return _most_likely(evidence, present, labels, task)[1]


def fit_prior(
    evidence: EvidenceByModality, present: Mapping[str, NDArray[np.bool_]], labels: Labels, task: Task
) -> NDArray[np.float32] | None:
    """Return the shares [C] of the classes among labels, if answers that count them once are likelier.

    Opinions of a classifier hold them. If no set of sensors repeats the prior, as where classes are alike or
    the shares differ from those of training, it is None. The arguments are those of `fit_threshold`.
    """
    if task == "multi-label":
        return None
    classes = next(iter(evidence.values())).classes.shape[1]
    shares = (np.bincount(labels, minlength=classes) + 1 / classes) / (len(labels) + 1)
    prior = shares.astype(np.float32)
    counted = {m: replace(one, prior=prior) for m, one in evidence.items()}
    once, often = (_most_likely(each, present, labels, task)[0] for each in (counted, evidence))
    return prior if once < often else None


def _most_likely(
    evidence: EvidenceByModality, present: Mapping[str, NDArray[np.bool_]], labels: Labels, task: Task
) -> tuple[float, float]:
    """Return the least loss of the labels by the answers of sets, and its redundancy."""
    classes = next(iter(evidence.values())).classes.shape[1]
    true = labels if labels.ndim == 2 else np.eye(classes, dtype=bool)[labels]
    sets = [one for one in subsets.measured(present) if len(one) > 1]
    has = {one: np.all([present[m] for m in one], axis=0) for one in sets}
    sets = [one for one in sets if has[one].sum() >= LEAST]

    def loss(redundancy: float) -> float:
        total = 0.0
        for subset in sets:
            some = {m: replace(evidence[m].take(has[subset]), known=None) for m in subset}
            (found,) = plain(some, [subset], redundancy, task).values()
            right = np.where(true[has[subset]], found, 1 - found if task == "multi-label" else 1.0)
            total -= float(np.log(np.maximum(right, _TINY)).sum(axis=1).mean())
        return total

    return min((loss(step / 10), step / 10) for step in range(11)) if sets else (0.0, REDUNDANT)


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
    logits: Floats, labels: Labels, task: Task, least: int = LEAST, prior: Floats | float = 0.0
) -> float:
    """Return the temperature with the least cross-entropy, from 0.01 to 100; 1 for fewer than `least`.

    The `prior`, logits [C] that are added, has none.

    The cross-entropy is convex in the inverse temperature: the one root of its slope is bracketed and halved
    (Guo et al., 2017). As in Platt's scaling (1999), a pseudo-example spread over all classes keeps it finite
    where every example is right.
    """
    n, classes = logits.shape
    if n < least:
        return 1.0
    exact = logits.astype(np.float64, copy=False)
    target = (np.eye(classes)[labels] if task == "multi-class" else labels.astype(np.float64)) * n
    target = (target + (1 / classes if task == "multi-class" else 0.5)) / (n + 1)
    wanted = float((target * exact).sum())
    low, high = (math.log(1 / bound) for bound in reversed(_RANGE))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = float((probabilities(exact * math.exp(middle) + prior, task) * exact).sum())
        low, high = (middle, high) if expected < wanted else (low, middle)
    return math.exp(-(low + high) / 2)


def fit_threshold(
    evidence: EvidenceByModality,
    present: Mapping[str, NDArray[np.bool_]],
    labels: Labels,
    task: Task,
    people: NDArray[np.integer],
    redundancy: float,
) -> tuple[float, int]:
    """Return the confidence from which answers are sure, and the number of people that it rests on.

    It is the least from `MAJORITY` on that keeps the `RISK` for each measured set of sensors, each of several
    of which begins to lie in the share `RARE` of the answers, as the belief takes it, and so does each device
    beside others. Where one of the sets has fewer people than `groups_needed`, or no example, nothing can be
    promised, and it is `CONFIDENT`.

    Args:
        evidence: by modality, calibrated evidence of N windows.
        present: by modality, bool [N].
        labels, task: as for `calibrate`.
        people: of the examples, integers [N] of `intervals.people_codes`; those of nobody promise nothing.
        redundancy: as for `belief.fuse`.
    """
    found, fewest = [MAJORITY], len(labels)
    classes = next(iter(evidence.values())).classes.shape[1]
    true = np.eye(classes, dtype=bool)[labels] if labels.ndim == 1 else labels
    for subset in subsets.measured(present):
        has = np.all([present[m] for m in subset], axis=0) & (people >= 0)
        fewest = min(fewest, len(np.unique(people[has])))
        if not fewest:
            break
        devices = [
            [subset[row] for row in rows] for rows in carried([evidence[m].device for m in subset]).values()
        ]
        parts = [[m] for m in subset] + [some for some in devices if len(some) > 1]
        liars = [part for part in parts if len(part) < len(subset) and task == "multi-class"]
        given = [(evidence, present), *(_with_liar(m, evidence, present, labels, people) for m in liars)]
        confidences, wrong = np.empty((len(given), has.sum())), np.empty((len(given), has.sum()), bool)
        for row, shown in enumerate(given):
            answers = answer(*shown, subset, redundancy, task, 0.0)
            right = true[np.arange(len(true)), answers.probabilities.argmax(axis=1)].astype(bool)
            confidences[row] = answers.probabilities.max(axis=1)[has]
            wrong[row] = (~right & (answers.doubts == SURE))[has]  # at a threshold of 0, all with evidence
        weights = np.array([1 - RARE * len(liars), *[RARE] * len(liars)])
        found.append(least_threshold(confidences, wrong, weights, people[has], RISK))
    return (max(found) if fewest >= groups_needed(RISK) else CONFIDENT), fewest


def least_threshold(
    confidences: Floats, wrong: NDArray[np.bool_], weights: Floats, groups: NDArray[np.integer], risk: float
) -> float:
    """Return the least threshold that keeps the risk of a new group, by answers [K, N] to examples of groups.

    It keeps the sum of the groups' shares that are sure and wrong, and the largest of them once more, to
    risk * (groups + 1). The K answers to an example count by their weights [K], of the sum 1.
    """
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    shares = np.zeros(len(sizes))
    spent = worst = 0.0
    kinds, rows = np.nonzero(wrong)
    for i in np.argsort(-confidences[wrong], kind="stable"):
        place = places[rows[i]]
        share = weights[kinds[i]] / sizes[place]
        shares[place] += share
        spent, worst = spent + share, max(worst, shares[place])
        if spent + worst > risk * (len(sizes) + 1) + 1e-9:
            # Rounded up to float32, in which confidences are compared.
            return float(np.nextafter(np.float32(confidences[kinds[i], rows[i]]), np.float32(2)))
    return 0.0


def familiar_limit(scores: Floats, groups: NDArray[np.integer]) -> float:
    """Return the least score of a familiar window, by scores [N] of known ones and the group of each, [N]."""
    return least(scores, UNFAMILIAR, UNFAMILIAR_OF_ONE, groups)


def least(scores: Floats, share: float, of_one: float, groups: NDArray[np.integer]) -> float:
    """Return the score that at most a share of all scores [N] is below, one at least being allowed.

    At most `of_one` of those of any group that has enough for that share to be a window are below it, too.
    """
    ordered = np.sort(scores)
    limit = ordered[max(int(share * (len(ordered) + 1)), 1) - 1]
    for group in np.unique(groups):
        own = np.sort(scores[groups == group])
        if of_one * len(own) >= 1:
            limit = min(limit, own[int(of_one * len(own))])
    return float(limit)


def _with_liar(
    liars: Sequence[str],
    evidence: EvidenceByModality,
    present: Mapping[str, NDArray[np.bool_]],
    labels: Labels,
    groups: NDArray[np.integer],
) -> tuple[EvidenceByModality, Mapping[str, NDArray[np.bool_]]]:
    """Return the same where modalities show another example, of another class and group, if one has all."""
    rows, shown = np.arange(len(labels)), np.full(len(labels), -1)
    usable = np.all([evidence[m].usable(present[m]) for m in liars], axis=0)
    stride = round(_STRIDE * len(labels)) or 1
    for draw in range(1, _DRAWS + 1):
        others = (rows + draw * stride) % len(labels)
        apart = (labels[others] != labels) & (groups[others] != groups) & usable[others]
        shown = np.where((shown < 0) & apart, others, shown)
    lying = {m: evidence[m].take(shown) for m in liars}
    return {**evidence, **lying}, {**present, **dict.fromkeys(liars, shown >= 0)}
