"""Reliability: how much confidence, sure answers and candidates are worth, measured on labelled examples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.bundle.calibration import are_candidates, are_sure, of_subset
from sensemble_runtime.bundle.head import Head, calibrated, probabilities
from sensemble_runtime.bundle.manifest import Calibration, SubsetCalibration, Task
from sensemble_runtime.record.writer import Answer
from sensemble_runtime.subsets import Interval

_BINS = 15
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Worth:
    """The worth of a subset's confidence and candidates; a prediction is right if its most probable label is.

    Attributes:
        confidence: the mean calibrated confidence, in [0, 1].
        unsure: the share of predictions with no single candidate.
        sure_right: of the others, the share that is right; None if all are unsure.
        covered: the share of predictions whose candidates hold the truth (every true label, multi-label).
        calibration_error: the expected calibration error of the confidence, in [0, 1].
        chance_error: what a perfectly calibrated classifier with these confidences would show on as many
            examples, on average: the part of `calibration_error` that is no fault.
    """

    confidence: float
    unsure: float
    sure_right: float | None
    covered: float
    calibration_error: float
    chance_error: float


@dataclass(frozen=True, slots=True)
class Reliability(Worth):
    """The worth of a subset's answers, beside what it would be without calibration.

    Attributes:
        uncalibrated_error: the calibration error without temperature and power.
    """

    uncalibrated_error: float


@dataclass(frozen=True, slots=True)
class Bin(Interval):
    """The predictions of about one confidence, of which there is at least one.

    Attributes:
        confidence: their mean confidence, in [0, 1].
        right: the share of them that is right.
        n: their number.
        low: the lower end of the 95 % confidence interval of `right`, for independent examples.
        high: the upper end.
    """

    confidence: float
    right: float
    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The predictions of a subset beside the truth, N > 0 of them in the order of the examples.

    Attributes:
        confidences: calibrated, floating [N] in [0, 1].
        right: bool [N], whether the most probable label is true.
        sure: bool [N], whether there is a single candidate.
        held: bool [N], whether the candidates hold the truth (every true label, multi-label).
    """

    confidences: NDArray[np.floating]
    right: NDArray[np.bool_]
    sure: NDArray[np.bool_]
    held: NDArray[np.bool_]

    @property
    def worth(self) -> Worth:
        """The worth of these predictions."""
        return Worth(
            confidence=float(self.confidences.mean()),
            unsure=1 - float(self.sure.mean()),
            sure_right=float(self.right[self.sure].mean()) if self.sure.any() else None,
            covered=float(self.held.mean()),
            calibration_error=calibration_error(self.confidences, self.right),
            chance_error=chance_error(self.confidences),
        )

    @property
    def bins(self) -> list[Bin]:
        """A reliability diagram: the bins of `calibration_error` that have predictions, by confidence."""
        places = _bins(self.confidences)
        found = []
        for place in np.unique(places):
            here = places == place
            n, right = int(here.sum()), int(self.right[here].sum())
            found.append(Bin(float(self.confidences[here].mean()), right / n, n, *wilson(right, n)))
        return found


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
    found = calibrated(logits, fitted.temperature, fitted.power, task)
    truth = np.eye(logits.shape[1], dtype=bool)[labels] if task == "multi-class" else labels.astype(bool)
    judged = judge(found, truth, task, fitted.threshold)
    before = probabilities(logits, task).max(axis=1)
    return Reliability(**asdict(judged.worth), uncalibrated_error=calibration_error(before, judged.right))


def judge(chances: NDArray[np.floating], truth: NDArray[np.bool_], task: Task, threshold: float) -> Judged:
    """Return predictions, calibrated probabilities [N, C], beside the truth, bool [N, C]; N > 0."""
    return Judged(
        confidences=chances.max(axis=1),
        right=truth[np.arange(len(truth)), chances.argmax(axis=1)],
        sure=are_sure(chances, threshold, task),
        held=np.asarray(np.all(are_candidates(chances, threshold, task) | ~truth, axis=1)),
    )


def judge_answers(
    answers: Iterable[Answer], labels: Sequence[str], task: Task, calibration: Calibration
) -> dict[str, Judged]:
    """Return the recorded answers of an audit beside the truth, by subset, smallest first.

    Args:
        answers: of one audit.
        labels: the classes, in the order of the answers' probabilities.
        task: `multi-class` or `multi-label`.
        calibration: the audited bundle's.
    """
    rows: dict[str, tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]] = {}
    for answer in answers:
        found, truth = rows.setdefault(answer.subset, ([], []))
        found.append(answer.probabilities)
        truth.append(np.array([label in answer.truth for label in labels]))
    return {
        name: judge(
            np.stack(found), np.stack(truth), task, of_subset(calibration, subsets.parse(name)).threshold
        )
        for name, (found, truth) in sorted(rows.items(), key=lambda item: (item[0].count("+"), item[0]))
    }


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
    gaps = np.bincount(_bins(confidences), weights=confidences - right, minlength=_BINS)
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


def _bins(confidences: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the bin of each confidence, int64 [N], of `_BINS` of equal width."""
    return np.minimum((confidences * _BINS).astype(np.int64), _BINS - 1)
