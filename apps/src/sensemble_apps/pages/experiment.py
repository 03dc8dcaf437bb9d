"""The experiment's page: the paper's Tables 1 to 3 and 9 to 11 and Figures 4 to 6 for given matrices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Matrix, Summary
from sensemble_runtime.errors import MatrixError
from sensemble_runtime.subsets import Subset, SubsetScore

from sensemble_apps.console import wording
from sensemble_apps.pages import figures, page_template, tables
from sensemble_apps.pages.tables import BASELINE, MORE_LABELS, Pretraining


@dataclass(frozen=True)
class Experiment:
    """The contents of the page.

    Attributes:
        dataset: the dataset's name.
        metric: `accuracy`, `mAP`, or `score` where it is not known.
        pretrainings: pretraining -> method -> M_T -> M_E -> score as a fraction. An unfinished
            matrix lacks scores, rows or all of them; the page shows where.
        facts: provenance, in the order to show.
        intervals: the scores of which training wrote the 95 % intervals.
    """

    dataset: str
    metric: str
    pretrainings: Mapping[str, Mapping[str, Matrix]]
    facts: Sequence[tuple[str, str]] = ()
    intervals: Sequence[SubsetScore] = ()


@dataclass(frozen=True)
class Headline:
    """The most robust method, compared with finetuning on the same training sets."""

    pretraining: str
    method: str
    trained: int
    summary: Summary
    baseline: Summary | None


def render(experiment: Experiment, made: datetime) -> str:
    """Return the page as HTML that loads nothing."""
    pretrainings = _begun(experiment)
    summaries = {pretraining.name: tables.table_1(pretraining) for pretraining in pretrainings}
    table_2 = [(pretraining, tables.table_2(pretraining)) for pretraining in pretrainings]
    table_3 = [(pretraining, tables.table_3(pretraining)) for pretraining in pretrainings]
    metric = "the score" if experiment.metric == "score" else experiment.metric
    return page_template.template("experiment.html.j2").render(
        experiment=experiment,
        metric=metric,
        metric_title=metric if metric == "mAP" else metric.capitalize(),
        made=made,
        headline=headline(pretrainings),
        pretrainings=pretrainings,
        widest=max(experiment.intervals, key=lambda score: score.high - score.low, default=None),
        waiting=[
            wording.pretraining_title(name) for name in experiment.pretrainings if name not in summaries
        ],
        gaps=sum(pretraining.gaps for pretraining in pretrainings),
        modalities=sorted({m for pretraining in pretrainings for m in pretraining.modalities}),
        sets=_all_sets(pretraining.sets for pretraining in pretrainings),
        evaluated=_all_sets(pretraining.evaluated for pretraining in pretrainings),
        short_of_all=_all_sets(row for _, methods in table_2 for row in methods.values()),
        summaries=summaries,
        best={name: tables.best_of_columns(rows) for name, rows in summaries.items()},
        table_2=table_2,
        table_3=table_3,
        best_alike=tables.best_alike([methods for _, methods in table_3]),
        points={pretraining.name: tables.points(pretraining) for pretraining in pretrainings},
        trend=any(tables.trend(pretraining) for pretraining in pretrainings),
        above_trend={pretraining.name: tables.above_trend(pretraining) for pretraining in pretrainings},
        top=max(
            score
            for pretraining in pretrainings
            for matrix in pretraining.scores.values()
            for row in matrix.values()
            for score in row.values()
        ),
        figures=figures.all_figures(pretrainings),
    )


def _all_sets(some: Iterable[Iterable[Subset]]) -> list[Subset]:
    return wording.sets_in_order({subset for sets in some for subset in sets})


def headline(pretrainings: Sequence[Pretraining]) -> Headline | None:
    """Return the method of the greatest R (Eq. 6) so far; None if no training set is finished."""
    candidates = [
        (row.summary.r, row.method, pretraining)
        for pretraining in pretrainings
        for row in tables.table_1(pretraining)
        if row.summary is not None and row.method != MORE_LABELS
    ]
    if not candidates:
        return None
    _, method, pretraining = max(candidates, key=itemgetter(0))
    finished = pretraining.finished[method]
    baseline = pretraining.finished.get(BASELINE, {}) if method != BASELINE else {}
    common = [train for train in finished if train in baseline]
    trained = common or list(finished)
    return Headline(
        pretraining=pretraining.title,
        method=wording.method_title(method),
        trained=len(trained),
        summary=robustness.summary({train: finished[train] for train in trained}),
        baseline=robustness.summary({train: baseline[train] for train in common}) if common else None,
    )


def _begun(experiment: Experiment) -> list[Pretraining]:
    begun = [
        Pretraining(name, experiment.pretrainings[name])
        for name in wording.pretrainings_in_order(experiment.pretrainings)
        if any(row for matrix in experiment.pretrainings[name].values() for row in matrix.values())
    ]
    if not begun:
        raise MatrixError(f"{experiment.dataset}: there is no score yet; the page needs at least one")
    return begun
