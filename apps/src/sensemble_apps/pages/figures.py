"""The paper's Figures 4, 5 and 6 for an experiment: their panels, and the methods in each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Stratum

from sensemble_apps.console import wording
from sensemble_apps.pages import panels, svg, tables
from sensemble_apps.pages.svg import Legend, Panel
from sensemble_apps.pages.tables import Pretraining


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: titled panels in rows (in Figure 5, one per pretraining), and their legend."""

    key: str
    rows: Sequence[Sequence[tuple[str, Panel]]]
    legend: Sequence[Legend]


def all_figures(pretrainings: Sequence[Pretraining]) -> list[Figure]:
    """Return the figures that have something to show: they need a finished training set."""
    looks = _looks(pretrainings)
    drawn = [figure_4(pretrainings), figure_5(pretrainings, looks), figure_6(pretrainings, looks)]
    return [figure for figure in drawn if figure.rows]


def figure_4(pretrainings: Sequence[Pretraining]) -> Figure:
    """Return performance with one, two and three modalities, a bar per pretraining."""
    alike = len({p.modalities for p in pretrainings}) == 1
    titles = [p.title if alike else f"{p.title}: {wording.words(p.modalities)}" for p in pretrainings]
    bars = [panels.Series(titles[i], i, tables.figure_4(p)) for i, p in enumerate(pretrainings)]
    legend = [svg.bar_legend(one.label, one.look) for one in bars] if len(bars) > 1 else []
    return Figure("figure-4", [[("", panels.modalities_panel("figure-4", bars))]], legend)


def figure_5(pretrainings: Sequence[Pretraining], looks: Mapping[str, int]) -> Figure:
    """Return P and R where training and evaluation share two, one and no modality, a row per pretraining."""
    strata = {pretraining.name: _overlaps(pretraining) for pretraining in pretrainings}
    every = [s.p for methods in strata.values() for by_k in methods.values() for s in by_k.values()]
    top = 1.12 * max((p for p in every if p is not None), default=0) or None
    rows = []
    for place, pretraining in enumerate(pretrainings):
        methods = strata[pretraining.name]
        row = []
        for metric, title in (("p", "Performance P"), ("r", "Robustness R")):
            lines = [
                panels.Series(
                    wording.method_title(method),
                    looks[method],
                    {k: value for k, s in by_k.items() if (value := getattr(s, metric)) is not None},
                    partial=len(pretraining.finished[method]) < len(pretraining.sets),
                )
                for method, by_k in methods.items()
            ]
            panel = panels.overlap_panel(f"figure-5-{metric}-{place}", title, lines, top)
            row.append((_title(pretraining, pretrainings), panel))
        if methods:
            rows.append(row)
    return Figure("figure-5", rows, _legend(strata.values(), looks))


def _overlaps(pretraining: Pretraining) -> dict[str, dict[int, Stratum]]:
    return {
        method: {k: robustness.overlap(rows, k) for k in (2, 1, 0)}
        for method in pretraining.interventions()
        if (rows := pretraining.finished[method])
    }


def figure_6(pretrainings: Sequence[Pretraining], looks: Mapping[str, int]) -> Figure:
    """Return R against P, a point per M_T and method, with the trend of finetuning."""
    row, shown = [], []
    for place, pretraining in enumerate(pretrainings):
        methods = {
            m: robustness.per_train(pretraining.finished[m])
            for m in pretraining.finetuned()
            if pretraining.finished[m]
        }
        if not methods:
            continue
        groups = [
            panels.Points(
                wording.method_title(m),
                looks[m],
                {wording.abbreviation(subsets.parse(train)): point for train, point in points.items()},
            )
            for m, points in methods.items()
        ]
        line = tables.trend(pretraining)
        panel = panels.robustness_panel(f"figure-6-{place}", groups, line)
        row.append((_title(pretraining, pretrainings), panel))
        shown.append(methods)
    return Figure("figure-6", [row] if row else [], _legend(shown, looks))


def _looks(pretrainings: Sequence[Pretraining]) -> dict[str, int]:
    methods = dict.fromkeys(method for pretraining in pretrainings for method in pretraining.scores)
    return {method: look for look, method in enumerate(wording.in_order(methods))}


def _legend(shown: Iterable[Iterable[str]], looks: Mapping[str, int]) -> list[Legend]:
    methods = {method for some in shown for method in some}
    return [svg.method_legend(wording.method_title(m), look) for m, look in looks.items() if m in methods]


def _title(pretraining: Pretraining, pretrainings: Sequence[Pretraining]) -> str:
    return pretraining.title if len(pretrainings) > 1 else ""
