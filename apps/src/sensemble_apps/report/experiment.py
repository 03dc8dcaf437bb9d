"""The experiment's page: the paper's Tables 1 and 9 to 11 and Figures 5 and 6, of the matrices of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Matrix, Summary
from sensemble_runtime.scores import SubsetScore
from sensemble_runtime.subsets import Subset

from sensemble_apps.console import wording
from sensemble_apps.console.kinds import words_of
from sensemble_apps.report import figures, page_template

BASELINE = "finetune"


@dataclass(frozen=True)
class ExperimentContents:
    """The contents of the page.

    Attributes:
        metric: `accuracy`, `mAP`, or `score` where it is not known.
        methods: method -> M_T -> M_E -> score as a fraction, of the training sets that all have finished.
        facts: provenance, in the order to show.
        intervals: the scores that have a 95 % interval.
    """

    dataset: str
    metric: str
    methods: Mapping[str, Matrix]
    facts: Sequence[tuple[str, str]] = ()
    intervals: Sequence[SubsetScore] = ()

    @cached_property
    def scores(self) -> dict[str, dict[Subset, dict[Subset, float]]]:
        """Every score by method, in the paper's order, M_T and M_E."""
        return {
            method: {
                subsets.parse(train): {subsets.parse(test): score for test, score in row.items()}
                for train, row in self.methods[method].items()
            }
            for method in wording.in_order(self.methods)
        }


def render(experiment: ExperimentContents, made: datetime) -> str:
    """Return the page as HTML."""
    scores = experiment.scores
    trained = wording.sets_in_order({train for matrix in scores.values() for train in matrix})
    evaluated = wording.sets_in_order(
        {e for matrix in scores.values() for row in matrix.values() for e in row}
    )
    methods = {method: experiment.methods[method] for method in scores}
    summaries = {method: robustness.summary(matrix) for method, matrix in methods.items()}
    table = {method: columns(summary) for method, summary in summaries.items()}
    metric = "the score" if experiment.metric == "score" else experiment.metric
    modalities = sorted({m for subset in evaluated for m in subset})
    best = max(summaries, key=lambda method: (summaries[method].r, method))
    return page_template.render(
        "experiment.html.j2",
        experiment=experiment,
        metric=metric,
        metric_title=metric if metric == "mAP" else metric.capitalize(),
        made=made,
        best=best,
        after=summaries[best],
        before=summaries.get(BASELINE) if best != BASELINE else None,
        widest=max(experiment.intervals, key=lambda score: score.high - score.low, default=None),
        trained=trained,
        evaluated=evaluated,
        modalities=modalities,
        lettered=all(words_of(m).letter for m in modalities),
        table=table,
        tops=[
            max((v for v in column if v is not None), default=None)
            for column in zip(*table.values(), strict=True)
        ],
        points={
            m: {subsets.parse(t): p for t, p in robustness.per_train(methods[m]).items()} for m in methods
        },
        highest=max(score for matrix in scores.values() for row in matrix.values() for score in row.values()),
        figures=figures.figures({m: methods[m] for m in methods if m != "linear_probe"}, BASELINE),
    )


def columns(summary: Summary) -> list[float | None]:
    """Return a row of Table 1: P_best, R_best, P, R, then P and R of Missing, Added and Transferability."""
    strata = (summary.missing, summary.added, summary.transfer)
    return [summary.p_best, summary.r_best, summary.p, summary.r, *(v for s in strata for v in (s.p, s.r))]
