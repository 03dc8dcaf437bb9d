"""Reliability: how often confidence and sure answers are right, and what silence costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.auditing.answers import Answers
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.belief import DOUBTS, SURE, UNFAMILIAR
from sensemble_runtime.record.writer import RecordedAnswer
from sensemble_runtime.scores import Interval

_BINS = 15
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Reliability:
    """The reliability of a subset's answers, as shares in [0, 1]; an answer without evidence is wrong."""

    accuracy: float  # answers whose most probable label is right, sure or not
    confidence: float  # the mean
    unsure: float  # answers without a label
    sure_right: float | None  # of the others; None if all are unsure
    sure_wrong: float  # of all answers, those that are sure and wrong
    withheld: float  # of the right answers, those that are unsure; 0 if none is right
    calibration_error: float  # the expected calibration error
    chance_error: float  # of a perfectly calibrated classifier, on as many examples


@dataclass(frozen=True, slots=True)
class Bin(Interval):
    """The `n` > 0 predictions of about one confidence, and the share that is `right`, with its interval."""

    confidence: float
    right: float
    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """The answers of a subset compared with the truth, N > 0 of them in the order of the examples."""

    confidences: NDArray[np.floating]  # [N] in [0, 1]
    right: NDArray[np.bool_]  # [N], with evidence, and the most probable label is true
    sure: NDArray[np.bool_]  # [N]

    @property
    def reliability(self) -> Reliability:
        """The measures of these answers."""
        return Reliability(
            accuracy=float(self.right.mean()),
            confidence=float(self.confidences.mean()),
            unsure=1 - float(self.sure.mean()),
            sure_right=float(self.right[self.sure].mean()) if self.sure.any() else None,
            sure_wrong=float((self.sure & ~self.right).mean()),
            withheld=float((~self.sure[self.right]).mean()) if self.right.any() else 0.0,
            calibration_error=calibration_error(self.confidences, self.right),
            chance_error=chance_error(self.confidences),
        )

    @property
    def bins(self) -> list[Bin]:
        """A reliability diagram: the bins of `calibration_error` that have answers, by confidence."""
        places = _bins(self.confidences)
        bins = []
        for place in np.unique(places):
            here = places == place
            n, right = int(here.sum()), int(self.right[here].sum())
            bins.append(Bin(float(self.confidences[here].mean()), right / n, n, *wilson(right, n)))
        return bins


def outcomes(
    answers: Answers, truth: NDArray[np.integer], task: Task, rows: NDArray[np.bool_] | slice = slice(None)
) -> Outcomes:
    """Return the outcomes of `rows` of N answers; `truth` is [N], or [N, C] if the task is multi-label."""
    chances, doubts, known = answers.probabilities[rows], answers.doubts[rows], truth[rows]
    true = np.eye(chances.shape[1], dtype=bool)[known] if task == "multi-class" else known.astype(bool)
    evident = doubts != UNFAMILIAR
    return Outcomes(
        confidences=chances.max(axis=1),
        right=np.asarray(true[np.arange(len(true)), chances.argmax(axis=1)] & evident),
        sure=np.asarray(doubts == SURE),
    )


def recorded_outcomes(
    recorded: Iterable[RecordedAnswer], labels: Sequence[str], task: Task
) -> dict[str, Outcomes]:
    """Return the outcomes of a recorded audit, by subset, smallest first."""
    by_set: dict[str, dict[str, RecordedAnswer]] = {}
    for answer in recorded:
        by_set.setdefault(answer.subset, {})[answer.example] = answer
    by_name = {}
    for name, by_example in sorted(by_set.items(), key=lambda item: (item[0].count("+"), item[0])):
        some = list(by_example.values())
        answers = Answers(
            np.stack([a.probabilities for a in some]),
            np.array([DOUBTS.index(a.doubt) for a in some], np.int8),
            some[0].threshold,
        )
        table = np.array([[label in a.truth for label in labels] for a in some])
        truth = table.argmax(axis=1) if task == "multi-class" else table.astype(np.int64)
        by_name[name] = outcomes(answers, truth, task)
    return by_name


def calibration_error(confidences: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Return the mean gap between confidence and accuracy, in [0, 1], over 15 bins of equal width."""
    # The expected calibration error (Naeini et al., 2015; Guo et al., 2017).
    gaps = np.bincount(_bins(confidences), weights=confidences - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(confidences))


def chance_error(confidences: NDArray[np.floating]) -> float:
    """Return the mean error of perfectly calibrated classifiers: above 0, as bins of few examples vary."""
    draw = np.random.default_rng(0)
    errors = (
        calibration_error(confidences, draw.uniform(size=len(confidences)) < confidences)
        for _ in range(_DRAWS)
    )
    return float(np.mean(list(errors)))


def _bins(confidences: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.minimum((confidences * _BINS).astype(np.int64), _BINS - 1)
