"""Reliability: how much confidence, sure answers and candidates are worth, measured on labelled examples."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.calibration import are_candidates, are_sure, of_subset
from sensemble_runtime.bundle.head import Head, probabilities
from sensemble_runtime.bundle.manifest import Calibration, SubsetCalibration, Task

_BINS = 15
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Reliability:
    """The worth of a subset's confidence and candidates; a prediction is right if its most probable label is.

    Attributes:
        confidence: the mean calibrated confidence, in [0, 1].
        unsure: the share of predictions with no single candidate.
        sure_right: of the others, the share that is right; None if all are unsure.
        covered: the share of predictions whose candidates hold the truth (every true label, multi-label).
        calibration_error: the expected calibration error of the confidence, in [0, 1].
        chance_error: what a perfectly calibrated classifier with these confidences would show on as many
            examples, on average: the part of `calibration_error` that is no fault.
        uncalibrated_error: the calibration error without the temperature.
    """

    confidence: float
    unsure: float
    sure_right: float | None
    covered: float
    calibration_error: float
    chance_error: float
    uncalibrated_error: float


def reliabilities(
    logits: NDArray[np.float32],
    present: Mapping[str, NDArray[np.bool_]],
    labels: NDArray[np.integer],
    task: Task,
    calibration: Calibration,
) -> dict[str, Reliability]:
    """Return the reliability of each subset, by name, on the examples with all its modalities.

    A subset without such examples is left out.

    Args:
        logits: float32 [2^n - 1, N, C], in the order of `pooling.pool_subsets`.
        present: modality -> bool [N], whether each example has it.
        labels: integers [N], or 0 and 1 [N, C] if the task is multi-label.
        task: `multi-class` or `multi-label`.
        calibration: the bundle's.
    """
    found = {}
    for subset, rows in zip(subsets.subsets(present), logits, strict=True):
        has = np.all([present[m] for m in subset], axis=0)
        if has.any():
            fitted = of_subset(calibration, subset)
            found[subsets.name(subset)] = reliability(rows[has], labels[has], task, fitted)
    return found


def reliability(
    logits: NDArray[np.float32], labels: NDArray[np.integer], task: Task, fitted: SubsetCalibration
) -> Reliability:
    """Return the reliability of predictions with logits [N, C], N > 0, as `reliabilities` takes them."""
    calibrated = probabilities(logits / np.float32(fitted.temperature), task)
    truth = np.eye(logits.shape[1], dtype=bool)[labels] if task == "multi-class" else labels.astype(bool)
    right = truth[np.arange(len(logits)), logits.argmax(axis=1)]
    sure = are_sure(calibrated, fitted.threshold, task)
    held = (are_candidates(calibrated, fitted.threshold, task) | ~truth).all(axis=1)
    confidences = calibrated.max(axis=1)
    return Reliability(
        confidence=float(confidences.mean()),
        unsure=1 - float(sure.mean()),
        sure_right=float(right[sure].mean()) if sure.any() else None,
        covered=float(held.mean()),
        calibration_error=calibration_error(confidences, right),
        chance_error=chance_error(confidences),
        uncalibrated_error=calibration_error(probabilities(logits, task).max(axis=1), right),
    )


def unfamiliar_shares(
    head: Head,
    calibration: Calibration,
    embeddings: NDArray[np.float32],
    present: Mapping[str, NDArray[np.bool_]],
) -> dict[str, float]:
    """Return the share of windows below the threshold of familiarity, by modality; none without scores.

    Args:
        head: the bundle's.
        calibration: the bundle's.
        embeddings: float32 [n, N, d], of the modalities of `present`, sorted.
        present: modality -> bool [N], whether each example has it.
    """
    scores, shares = head.familiarity, dict[str, float]()
    for row, modality in enumerate(sorted(present) if scores is not None else ()):
        assert scores is not None  # noqa: S101 - or there would be no row
        found = embeddings[row][present[modality]] @ scores.weight[row] + scores.bias[row]
        if len(found):
            shares[modality] = float((found < calibration.familiar[modality]).mean())
    return shares


def calibration_error(confidences: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error in [0, 1]: the mean gap between confidence and accuracy.

    The mean over 15 bins of equal width, weighted by the examples in them (Naeini et al., 2015; Guo et al.,
    2017).

    Args:
        confidences: floating [N] in [0, 1], N > 0.
        right: bool [N], whether each prediction was right.
    """
    bins = np.minimum((confidences * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, weights=confidences - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(confidences))


def chance_error(confidences: NDArray[np.floating]) -> float:
    """Return the mean calibration error of classifiers that are right exactly as often as they say.

    The bins of few examples differ from their confidence by chance, so that it is above 0. The same
    confidences, floating [N], give the same number.
    """
    draw = np.random.default_rng(0)
    errors = (
        calibration_error(confidences, draw.uniform(size=len(confidences)) < confidences)
        for _ in range(_DRAWS)
    )
    return float(np.mean(list(errors)))
