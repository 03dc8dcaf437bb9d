"""The paper's Figures 4, 5 and 6 for an experiment: titled drawings, and what their colours mean."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Stratum

from sensemble_apps.console import wording
from sensemble_apps.pages import svg, tables
from sensemble_apps.pages.svg import BARS, GLYPHS, GRID, INK, MARKERS, SERIES
from sensemble_apps.pages.tables import Pretraining


@dataclass(frozen=True, slots=True)
class Legend:
    """The meaning of a colour (a CSS variable of the page) and its glyph."""

    label: str
    colour: str
    glyph: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: rows of titled SVG drawings (in Figure 5, a row per pretraining), and their legend."""

    rows: Sequence[Sequence[tuple[str, str]]]
    legend: Sequence[Legend]


@dataclass(frozen=True, slots=True)
class _Series:
    """Scores as fractions by a number of modalities; None for a missing one.

    Attributes:
        label: its title.
        look: numbers its colour and marker.
        scores: by how many modalities there are, or are shared.
        partial: whether training sets are missing; then it is drawn dashed and hollow.
    """

    label: str
    look: int
    scores: Mapping[int, float | None]
    partial: bool = False


def all_figures(pretrainings: Sequence[Pretraining]) -> dict[str, Figure]:
    """Return the figures that have something to show, by name: they need a finished training set."""
    methods = dict.fromkeys(method for pretraining in pretrainings for method in pretraining.scores)
    looks = {method: look for look, method in enumerate(wording.in_order(methods))}
    drawn = {
        "figure-4": _figure_4(pretrainings),
        "figure-5": _figure_5(pretrainings, looks),
        "figure-6": _figure_6(pretrainings, looks),
    }
    return {key: figure for key, figure in drawn.items() if figure.rows}


def _figure_4(pretrainings: Sequence[Pretraining]) -> Figure:
    """Draw performance with one, two and three modalities, a bar per pretraining."""
    alike = len({p.modalities for p in pretrainings}) == 1
    titles = [p.title if alike else f"{p.title}: {wording.words(p.modalities)}" for p in pretrainings]
    series = [_Series(titles[i], i, tables.figure_4(p)) for i, p in enumerate(pretrainings)]
    sizes = sorted({k for bars in series for k in bars.scores})
    width = 0.8 / len(series)

    def paint(axes: Axes) -> None:
        for bars in series:
            for k, score in bars.scores.items():
                # Bars of the pretrainings that have this size are centred on its tick.
                with_size = [other for other in series if k in other.scores]
                x = sizes.index(k) + (with_size.index(bars) - (len(with_size) - 1) / 2) * width
                if score is None:
                    axes.text(x, 0, " not yet", rotation=90, ha="center", va="bottom", color=INK, size=8)
                    continue
                colour = BARS[bars.look % len(BARS)]
                axes.bar(x, 100 * score, 0.94 * width, color=colour, gid=f"figure-4-bar-{bars.look}-{k}")
                axes.annotate(
                    f"{100 * score:.1f}", (x, 100 * score), (0, 2), textcoords="offset points",
                    ha="center", color=INK, size=9,
                )  # fmt: skip
        axes.set_xticks(range(len(sizes)), [_count(k) for k in sizes])
        axes.set_xlim(-0.5, len(sizes) - 0.5)
        axes.margins(y=0.1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("modalities in training and evaluation")
        axes.set_ylabel("Performance P, %")
        axes.grid(axis="y")

    title = "Performance against the number of modalities"
    drawing = svg.draw("figure-4", title, _described(series, sizes), paint)
    legend = [Legend(one.label, f"--bar-{one.look % len(BARS)}", GLYPHS[1]) for one in series]
    return Figure([[("", drawing)]], legend if len(series) > 1 else [])


def _figure_5(pretrainings: Sequence[Pretraining], looks: Mapping[str, int]) -> Figure:
    """Draw P and R where training and evaluation share two, one and no modality, a row per pretraining."""
    strata = {pretraining.name: _overlaps(pretraining) for pretraining in pretrainings}
    every = [s.p for methods in strata.values() for by_k in methods.values() for s in by_k.values()]
    top = 1.12 * max((p for p in every if p is not None), default=0) or None
    rows = []
    for place, pretraining in enumerate(pretrainings):
        methods = strata[pretraining.name]
        row = []
        for metric, title in (("p", "Performance P"), ("r", "Robustness R")):
            lines = [
                _Series(
                    wording.method_title(method),
                    looks[method],
                    {k: value for k, s in by_k.items() if (value := getattr(s, metric)) is not None},
                    partial=len(pretraining.finished[method]) < len(pretraining.sets),
                )
                for method, by_k in methods.items()
            ]
            drawing = _overlap_lines(f"figure-5-{metric}-{place}", title, lines, top)
            row.append((_title(pretraining, pretrainings), drawing))
        if methods:
            rows.append(row)
    return Figure(rows, _legend(strata.values(), looks))


def _overlaps(pretraining: Pretraining) -> dict[str, dict[int, Stratum]]:
    return {
        method: {k: robustness.overlap(rows, k) for k in (2, 1, 0)}
        for method in pretraining.interventions()
        if (rows := pretraining.finished[method])
    }


def _overlap_lines(key: str, title: str, series: Sequence[_Series], top: float | None) -> str:
    """Draw a score against |M_T ∩ M_E|, a line per method."""
    overlaps = sorted({k for line in series for k in line.scores}, reverse=True)

    def paint(axes: Axes) -> None:
        for line in series:
            known = [(k, score) for k in overlaps if (score := line.scores.get(k)) is not None]
            axes.plot(
                [overlaps.index(k) for k, _ in known],
                [100 * score for _, score in known],
                color=SERIES[line.look % len(SERIES)],
                marker=MARKERS[line.look % len(MARKERS)],
                markersize=6,
                markerfacecolor="none" if line.partial else None,
                linewidth=1.8,
                linestyle="--" if line.partial else "-",
                gid=f"{key}-line-{line.look}",
            )
        axes.set_xticks(range(len(overlaps)), [_count(k) for k in overlaps])
        axes.set_xlim(-0.35, len(overlaps) - 0.65)
        axes.set_ylim(bottom=0, top=None if top is None else 100 * top)
        axes.set_xlabel("sensors shared by training and evaluation")
        axes.set_ylabel(f"{title}, %")
        axes.grid(axis="y")

    return svg.draw(key, f"{title} against the number of shared sensors", _described(series, overlaps), paint)


def _figure_6(pretrainings: Sequence[Pretraining], looks: Mapping[str, int]) -> Figure:
    """Draw R against P, a point per M_T and method, with the trend of finetuning."""
    row, shown = [], []
    for place, pretraining in enumerate(pretrainings):
        methods = {
            m: robustness.per_train(pretraining.finished[m])
            for m in pretraining.finetuned()
            if pretraining.finished[m]
        }
        if methods:
            drawing = _points(f"figure-6-{place}", methods, looks, tables.trend(pretraining))
            row.append((_title(pretraining, pretrainings), drawing))
            shown.append(methods)
    return Figure([row] if row else [], _legend(shown, looks))


def _points(
    key: str,
    methods: Mapping[str, Mapping[str, tuple[float, float]]],
    looks: Mapping[str, int],
    trend: tables.Trend | None,
) -> str:
    """Draw P and R of each method and M_T (Eq. 3, 4); the trend is dashed.

    A thin line joins each M_T of the first method to the same M_T of the last, which is labelled.
    """
    named = {
        method: {wording.abbreviation(subsets.parse(train)): point for train, point in points.items()}
        for method, points in methods.items()
    }
    first, *_, last = (next(iter(named.values())), *named.values())

    def paint(axes: Axes) -> None:
        for method, points in named.items():
            axes.scatter(
                [100 * p for p, _ in points.values()],
                [100 * r for _, r in points.values()],
                color=SERIES[looks[method] % len(SERIES)],
                marker=MARKERS[looks[method] % len(MARKERS)],
                s=40,
                linewidths=0,
                gid=f"{key}-points-{looks[method]}",
            )
        for label, (p, r) in last.items():
            if label in first:
                start_p, start_r = first[label]
                axes.plot(
                    [100 * start_p, 100 * p], [100 * start_r, 100 * r],
                    color=INK, alpha=0.35, linewidth=0.8, zorder=0.8,
                )  # fmt: skip
            axes.annotate(
                label, (100 * p, 100 * r), (0, 5), textcoords="offset points",
                ha="center", color=INK, size=8,
            )  # fmt: skip
        if trend is not None:
            every = [p for points in named.values() for p, _ in points.values()]
            ends = (min(every), max(every))
            axes.plot(
                [100 * p for p in ends],
                [100 * trend(p) for p in ends],
                color=INK, linewidth=1, linestyle=(0, (5, 4)), zorder=0.9, gid=f"{key}-trend",
            )  # fmt: skip
        axes.margins(0.12)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Performance P, %")
        axes.set_ylabel("Robustness R, %")
        axes.grid(color=GRID)

    described = "; ".join(
        f"{wording.method_title(method)}: "
        + ", ".join(f"{label} P {100 * p:.1f} % R {100 * r:.1f} %" for label, (p, r) in points.items())
        for method, points in named.items()
    )
    return svg.draw(key, "Robustness against performance", described, paint)


def _legend(shown: Iterable[Iterable[str]], looks: Mapping[str, int]) -> list[Legend]:
    methods = {method for some in shown for method in some}
    return [
        Legend(wording.method_title(m), f"--series-{look % len(SERIES)}", GLYPHS[look % len(GLYPHS)])
        for m, look in looks.items()
        if m in methods
    ]


def _title(pretraining: Pretraining, pretrainings: Sequence[Pretraining]) -> str:
    return pretraining.title if len(pretrainings) > 1 else ""


def _described(series: Sequence[_Series], numbers: Sequence[int]) -> str:
    def score(one: _Series, k: int) -> str:
        value = one.scores[k]
        return f"{_count(k)} {'not yet' if value is None else f'{100 * value:.1f} %'}"

    each = (f"{one.label}: {', '.join(score(one, k) for k in numbers if k in one.scores)}" for one in series)
    return "; ".join(each)


def _count(k: int) -> str:
    return ("none", "one", "two", "three")[k]
