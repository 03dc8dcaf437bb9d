"""Reliability: how often confidence and sure answers are right, and what silence costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.media.content import data_digest

from sensemble_runtime.auditing.intervals import group_codes, proportion, wilson
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.answer import DOUBTS, SURE, Answers
from sensemble_runtime.record.writer import RecordedAnswer
from sensemble_runtime.scores import Estimate, Interval

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
    predicted: NDArray[np.integer]  # [N], the most probable label; -1 without evidence
    rows: NDArray[np.integer]  # [N], places among the audit's examples

    @property
    def reliability(self) -> Reliability:
        """The measures of these answers."""
        return Reliability(
            accuracy=float(self.right.mean()),
            confidence=float(self.confidences.mean()),
            unsure=1 - float(self.sure.mean()),
            sure_right=float(self.right[self.sure].mean()) if self.sure.any() else None,
            sure_wrong=float(self.wrong.mean()),
            withheld=float((~self.sure[self.right]).mean()) if self.right.any() else 0.0,
            calibration_error=calibration_error(self.confidences, self.right),
            chance_error=chance_error(self.confidences),
        )

    def take(self, which: NDArray[np.integer]) -> "Outcomes":
        """Return the outcomes of some places."""
        return Outcomes(*(getattr(self, name)[which] for name in self.__slots__))

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """The answers that are sure and wrong, [N]."""
        return np.asarray(self.sure & ~self.right)

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


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """An audit's examples, and the outcomes of each subset's answers, smallest first."""

    ids: Sequence[str]  # of M examples
    truth: Sequence[tuple[str, ...]]  # their labels
    groups: NDArray[np.integer]  # of `group_codes`, [M] or [M, K]
    labels: Sequence[str]  # those that the bundle may say
    sets: Mapping[str, Outcomes]
    named: Sequence[tuple[str, ...]]  # the names of the groups of each example, [M]
    contents: Sequence[str]  # of `media.content`, [M]

    @property
    def data(self) -> str:
        """The SHA-256 of the examples that have an answer (`data_digest`)."""
        rows = sorted({int(row) for outcomes in self.sets.values() for row in outcomes.rows})
        return data_digest((self.ids[row], self.truth[row], self.contents[row]) for row in rows)

    def share(self, subset: str, which: NDArray[np.bool_]) -> Estimate:
        """Return the share of a subset's N answers that `which` marks, with its interval."""
        groups = self.groups[self.sets[subset].rows]
        return Estimate(float(which.mean()), *proportion(which, groups))


def outcomes(
    answers: Answers, truth: NDArray[np.integer], task: Task, rows: NDArray[np.bool_] | slice = slice(None)
) -> Outcomes:
    """Return the outcomes of `rows` of N answers; `truth` is [N], or [N, C] if the task is multi-label."""
    chances, doubts, known = answers.probabilities[rows], answers.doubts[rows], truth[rows]
    true = np.eye(chances.shape[1], dtype=bool)[known] if task == "multi-class" else known.astype(bool)
    evident = answers.evident[rows]
    return Outcomes(
        confidences=chances.max(axis=1),
        right=np.asarray(true[np.arange(len(true)), chances.argmax(axis=1)] & evident),
        sure=np.asarray(doubts == SURE),
        predicted=np.where(evident, chances.argmax(axis=1), -1),
        rows=np.arange(len(truth))[rows],
    )


def recorded_answers(recorded: Iterable[RecordedAnswer], labels: Sequence[str], task: Task) -> Answered:
    """Return the answers of a recorded audit."""
    by_set: dict[str, dict[str, RecordedAnswer]] = {}
    examples: dict[str, RecordedAnswer] = {}
    for answer in recorded:
        by_set.setdefault(answer.subset, {})[answer.example] = answer
        examples.setdefault(answer.example, answer)
    places = {name: place for place, name in enumerate(examples)}
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
        rows = np.array([places[a.example] for a in some])
        by_name[name] = replace(outcomes(answers, truth, task), rows=rows)
    shown = examples.values()
    return Answered(
        [*examples],
        [a.truth for a in shown],
        group_codes([a.groups for a in shown]),
        labels,
        by_name,
        [a.groups for a in shown],
        [a.content for a in shown],
    )


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
