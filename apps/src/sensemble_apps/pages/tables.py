"""The numbers of the paper's tables and figures; a score that a matrix lacks is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, linear_regression

from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Matrix, Summary
from sensemble_runtime.subsets import Subset

from sensemble_apps.console import wording

BASELINE = "finetune"
MORE_LABELS = "finetune_everything"
"""It sees labels that the others do not: a comparison (Sec. 6.2), not a method in competition."""


@dataclass(frozen=True)
class Pretraining:
    """The matrices of all methods that start from one pretrained model, in fractions, with or without gaps.

    Attributes:
        name: its name, such as `contrastive`.
        methods: method -> M_T -> M_E -> score; missing scores are left out.
    """

    name: str
    methods: Mapping[str, Matrix]

    @property
    def title(self) -> str:
        """The name as the paper writes it."""
        return wording.pretraining_title(self.name)

    @cached_property
    def scores(self) -> dict[str, dict[Subset, dict[Subset, float]]]:
        """Every score by method, M_T and M_E; the methods are in the paper's order."""
        return {
            method: {
                subsets.parse(train): {subsets.parse(test): score for test, score in row.items()}
                for train, row in self.methods[method].items()
            }
            for method in wording.in_order(self.methods)
        }

    @cached_property
    def modalities(self) -> Subset:
        """M: every modality of some M_T or M_E."""
        rows = [(train, *row) for matrix in self.scores.values() for train, row in matrix.items()]
        return tuple(sorted({m for row in rows for subset in row for m in subset}))

    @cached_property
    def sets(self) -> list[Subset]:
        """Every possible M_T, in the paper's order."""
        return wording.sets_in_order(subsets.measured(self.modalities))

    @cached_property
    def evaluated(self) -> list[Subset]:
        """Every M_E with a score in some row; a set that no example has is scored in none."""
        scored = {test for matrix in self.scores.values() for row in matrix.values() for test in row}
        return wording.sets_in_order(scored)

    @cached_property
    def finished(self) -> dict[str, Matrix]:
        """The rows without a gap, by method: P and R cover these."""
        return {
            method: {
                subsets.name(train): {subsets.name(test): score for test, score in row.items()}
                for train, row in matrix.items()
                if len(row) == len(self.evaluated)
            }
            for method, matrix in self.scores.items()
        }

    @property
    def gaps(self) -> int:
        """The number of cells without a score."""
        cells = len(self.methods) * len(self.sets) * len(self.evaluated)
        return cells - sum(len(row) for matrix in self.scores.values() for row in matrix.values())

    def score(self, method: str, train: Subset, test: Subset) -> float | None:
        """Return p(M_E; M_T); None if it is missing."""
        return self.scores[method].get(train, {}).get(test)

    def interventions(self) -> list[str]:
        """Return the methods of Tables 2 and 3 and Figure 5: finetuning, and those that distil."""
        return [m for m in self.scores if m not in ("linear_probe", "wiseft", MORE_LABELS)]

    def finetuned(self) -> list[str]:
        """Return the methods of Figure 6: all that change the encoders on the same labels."""
        return [m for m in self.scores if m not in ("linear_probe", MORE_LABELS)]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """A row of Table 1, over the finished training sets; without any, it has no summary."""

    method: str
    summary: Summary | None
    finished: int
    of: int

    @property
    def partial(self) -> bool:
        """True if training sets are unfinished: the row does not compare."""
        return self.finished < self.of

    def values(self) -> list[float | None]:
        """The columns: P_best, R_best, P, R, then P and R of Missing, Added and Transferability."""
        if self.summary is None:
            return [None] * 10
        s = self.summary
        strata = [value for stratum in (s.missing, s.added, s.transfer) for value in (stratum.p, stratum.r)]
        return [s.p_best, s.r_best, s.p, s.r, *strata]


def table_1(pretraining: Pretraining) -> list[SummaryRow]:
    """Return the summary of each method (Table 1)."""
    return [
        SummaryRow(
            method,
            robustness.summary(rows) if rows else None,
            len(rows),
            len(pretraining.sets),
        )
        for method, rows in pretraining.finished.items()
    ]


def best_of_columns(rows: Sequence[SummaryRow]) -> list[float | None]:
    """Return each column's best among the rows that are complete, which Table 1 prints in bold."""
    columns = zip(*(row.values() for row in rows if not row.partial), strict=True)
    return [max((v for v in column if v is not None), default=None) for column in columns] or [None] * 10


def table_2(pretraining: Pretraining) -> dict[str, dict[Subset, Subset | None]]:
    """Return, by method and M_T without all modalities, the M_E of the highest score (Table 2)."""
    trains = [train for train in pretraining.sets if train != pretraining.modalities]
    table: dict[str, dict[Subset, Subset | None]] = {}
    for method in pretraining.interventions():
        rows = pretraining.finished[method]
        best = robustness.best_evaluation(rows) if rows else {}
        parsed = {subsets.parse(train): subsets.parse(test) for train, test in best.items()}
        table[method] = {train: parsed.get(train) for train in trains}
    return table


def table_3(pretraining: Pretraining) -> dict[str, dict[Subset, float | None]]:
    """Return, by method, the score of each set where M_T = M_E (Table 3)."""
    return {
        method: {same: pretraining.score(method, same, same) for same in pretraining.sets}
        for method in pretraining.interventions()
    }


def best_alike(rows: Sequence[Mapping[str, Mapping[Subset, float | None]]]) -> dict[Subset, float]:
    """Return the best score of each column of Table 3, as fractions."""
    best: dict[Subset, float] = {}
    for row in (row for methods in rows for row in methods.values()):
        for same, score in row.items():
            best[same] = max(score or 0.0, best.get(same, 0.0))
    return best


def points(pretraining: Pretraining) -> dict[str, dict[Subset, tuple[float, float]]]:
    """Return P(M_T) and R(M_T) (Eq. 3 and 4) of each method's finished training sets."""
    return {
        method: {subsets.parse(t): point for t, point in robustness.per_train(rows).items()} if rows else {}
        for method, rows in pretraining.finished.items()
    }


def figure_4(pretraining: Pretraining) -> dict[int, float | None]:
    """Return P of the baseline over M_T = M_E with k modalities, by k (Figure 4); None if one is missing."""
    method = BASELINE if BASELINE in pretraining.scores else next(iter(pretraining.scores))
    by_size: dict[int, list[float | None]] = {}
    for same in pretraining.sets:
        by_size.setdefault(len(same), []).append(pretraining.score(method, same, same))
    means = {}
    for k, scores in by_size.items():
        known = [score for score in scores if score is not None]
        means[k] = fmean(known) if len(known) == len(scores) else None
    return means


@dataclass(frozen=True, slots=True)
class Trend:
    """The straight line R = slope P + intercept, in fractions."""

    slope: float
    intercept: float

    def __call__(self, p: float) -> float:
        """Return the R on the line at a P."""
        return self.slope * p + self.intercept


def trend(pretraining: Pretraining) -> Trend | None:
    """Fit a line to the baseline's points of Figure 6 by least squares; None for fewer than three.

    A point above it is more robust than its performance explains (Sec. 6.2).
    """
    rows = pretraining.finished.get(BASELINE)
    points = list(robustness.per_train(rows).values()) if rows else []
    if len({p for p, _ in points}) < 3:
        return None
    return Trend(*linear_regression([p for p, _ in points], [r for _, r in points]))


def above_trend(pretraining: Pretraining) -> dict[str, float]:
    """Return the mean distance of each complete method above the line of a complete baseline."""
    line = trend(pretraining)
    complete = [m for m, rows in pretraining.finished.items() if len(rows) == len(pretraining.sets)]
    if line is None or BASELINE not in complete:
        return {}
    return {
        method: fmean(r - line(p) for p, r in robustness.per_train(pretraining.finished[method]).values())
        for method in pretraining.finetuned()
        if method != BASELINE and method in complete
    }
