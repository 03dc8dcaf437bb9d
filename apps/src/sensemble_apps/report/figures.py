"""Draw the paper's Figures 5 and 6 for an experiment, with the legend of their colours."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, linear_regression

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Matrix

from sensemble_apps.console import wording
from sensemble_apps.report import svg
from sensemble_apps.report.svg import GRID, INK

_SHARED = {2: "two", 1: "one", 0: "none"}


@dataclass(frozen=True, slots=True)
class Figures:
    """The drawings of an experiment, as SVG.

    Attributes:
        legend: of each method, its title, its colour (a CSS variable of the page) and its glyph.
        drawings: P and R by the number of modalities that training and evaluation share (Figure 5), then R
            against P, a point for each M_T and method (Figure 6); none without a method.
        above: the mean distance of each method above the trend of the baseline, as a fraction.
    """

    legend: list[tuple[str, str, str]]
    drawings: list[str]
    above: dict[str, float]


def figures(methods: Mapping[str, Matrix], baseline: str) -> Figures:
    """Draw the figures of some methods; the trend is that of the `baseline`."""
    points = {method: robustness.per_train(matrix) for method, matrix in methods.items()}
    trend = _trend(points.get(baseline, {}))
    above = {
        method: fmean(r - trend[0] * p - trend[1] for p, r in some.values())
        for method, some in points.items()
        if trend and method != baseline
    }
    drawings = [_overlap(methods, "p"), _overlap(methods, "r"), _points(points, trend)] if methods else []
    return Figures(svg.legend(map(wording.method_title, methods)), drawings, above)


def _trend(points: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    """Return slope and intercept of R over P by least squares; None for fewer than three P.

    A point above the line is more robust than its performance explains (Sec. 6.2).
    """
    if len({p for p, _ in points.values()}) < 3:
        return None
    fitted = linear_regression(*zip(*points.values(), strict=True))
    return fitted.slope, fitted.intercept


def _overlap(methods: Mapping[str, Matrix], metric: str) -> str:
    """Draw P or R against |M_T ∩ M_E|, a line per method."""
    title = {"p": "Performance P", "r": "Robustness R"}[metric]
    series = {
        wording.method_title(method): {
            words: 100 * value
            for k, words in _SHARED.items()
            if (value := getattr(robustness.overlap(matrix, k), metric)) is not None
        }
        for method, matrix in methods.items()
    }
    whole, x = f"{title} against the number of shared sensors", "sensors shared by training and evaluation"
    return svg.lines(f"figure-5-{metric}", whole, series, "{} {:.1f} %", x, f"{title}, %")


def _points(
    methods: Mapping[str, Mapping[str, tuple[float, float]]], trend: tuple[float, float] | None
) -> str:
    """Draw P and R of each method and M_T (Eq. 3, 4) in per cent; the trend is dashed.

    A thin line joins each M_T of the first method to the same M_T of the last, which is labelled.
    """
    named = {
        method: {wording.abbreviation(subsets.parse(t)): (100 * p, 100 * r) for t, (p, r) in points.items()}
        for method, points in methods.items()
    }
    first, *_, last = (next(iter(named.values())), *named.values())

    def paint(axes: Axes) -> None:
        for place, points in enumerate(named.values()):
            x, y = zip(*points.values(), strict=True)
            axes.scatter(x, y, s=40, linewidths=0, **svg.look(place))
        for label, end in last.items():
            (start_p, start_r), (p, r) = first[label], end
            axes.plot([start_p, p], [start_r, r], color=INK, alpha=0.35, linewidth=0.8, zorder=0.8)
            axes.annotate(label, end, (0, 5), textcoords="offset points", ha="center", color=INK, size=8)
        if trend is not None:
            every = [p for points in named.values() for p, _ in points.values()]
            ends = min(every), max(every)
            line = [trend[0] * p + 100 * trend[1] for p in ends]
            dashes = (0, (5, 4))
            axes.plot(ends, line, color=INK, linewidth=1, linestyle=dashes, zorder=0.9)
        axes.margins(0.12)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Performance P, %")
        axes.set_ylabel("Robustness R, %")
        axes.grid(color=GRID)

    described = "; ".join(
        f"{wording.method_title(method)}: "
        + ", ".join(f"{label} P {p:.1f} % R {r:.1f} %" for label, (p, r) in points.items())
        for method, points in named.items()
    )
    return svg.draw("figure-6", "Robustness against performance", described, paint)
