"""Figures as inline SVG in the page's CSS colours, so that one drawing serves light, dark and print."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Matplotlib needs real colours: each stands for a CSS variable that `_svg` puts in its place.
_INK, _GRID = "#010203", "#040506"
_SERIES = tuple(f"#0708{i:02x}" for i in range(8))
_VARIABLES = {_INK: "var(--muted)", _GRID: "var(--line)"} | {
    colour: f"var(--series-{i})" for i, colour in enumerate(_SERIES)
}
_MARKERS = ("o", "s", "^", "D", "P", "v", "X", "p")
GLYPHS = ("●", "■", "▲", "◆", "✚", "▼", "✖", "⬟")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sensemble",
    "font.size": 10,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_SIZE = (3.6, 2.9)  # inches: about a phone's width, so that text is not scaled down there


@dataclass(frozen=True)
class Point:
    """Performance and robustness (Eq. 3, 4) of one model, as fractions; `label` is its M_T."""

    label: str
    p: float
    r: float


def overlap_panel(key: str, title: str, series: Mapping[str, Mapping[int, float]]) -> str:
    """Draw one panel in the manner of Figure 5: a score against |M_T ∩ M_E|, a line a method.

    Args:
        key: prefix of the SVG's element ids, unique in the page.
        title: what the y axis shows, also the SVG's accessible name.
        series: method -> overlap -> score as a fraction.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _axes()
        overlaps = sorted({k for scores in series.values() for k in scores}, reverse=True)
        for i, scores in enumerate(series.values()):
            known = [k for k in overlaps if k in scores]
            axes.plot(
                [overlaps.index(k) for k in known],
                [100 * scores[k] for k in known],
                color=_SERIES[i % len(_SERIES)],
                marker=_MARKERS[i % len(_MARKERS)],
                markersize=6,
                linewidth=1.8,
            )
        axes.set_xticks(range(len(overlaps)), [_overlap_name(k) for k in overlaps])
        axes.set_xlim(-0.35, len(overlaps) - 0.65)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("sensors shared by training and evaluation")
        axes.set_ylabel(f"{title}, %")
        axes.grid(axis="y")
        described = "; ".join(
            f"{method}: " + ", ".join(f"{_overlap_name(k)} {100 * s[k]:.1f} %" for k in overlaps if k in s)
            for method, s in series.items()
        )
        return _svg(figure, key, f"{title} against the number of shared sensors", described)


def robustness_panel(key: str, series: Mapping[str, Sequence[Point]]) -> str:
    """Draw R against P in the manner of Figure 6: one point an M_T, one marker a method."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes()
        for i, points in enumerate(series.values()):
            axes.scatter(
                [100 * point.p for point in points],
                [100 * point.r for point in points],
                color=_SERIES[i % len(_SERIES)],
                marker=_MARKERS[i % len(_MARKERS)],
                s=40,
                linewidths=0,
            )
        axes.margins(0.12)
        axes.set_xlabel("Performance P, %")
        axes.set_ylabel("Robustness R, %")
        axes.grid()
        described = "; ".join(
            f"{method}: " + ", ".join(f"{x.label} P {100 * x.p:.1f} % R {100 * x.r:.1f} %" for x in points)
            for method, points in series.items()
        )
        return _svg(figure, key, "Robustness against performance", described)


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.set_axisbelow(True)
    return figure, axes


def _overlap_name(k: int) -> str:
    return ("none", "one", "two", "three")[k]


def _svg(figure: Figure, key: str, title: str, description: str) -> str:
    """Return the figure as an SVG element that can stand among others in one page.

    The document type goes (it names an outside address), and the style sheet (it would style the page); ids
    get a prefix of their own, colours become the page's variables, and text takes the page's font.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{key}-", svg)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    opening = re.match(r'<svg [^>]*?width="([\d.]+)pt" height="[\d.]+pt" viewBox="([^"]*)"[^>]*>', svg)
    if opening is None:
        raise ValueError("matplotlib's SVG does not open as this version's does")
    return (
        f'<svg viewBox="{opening[2]}" role="img" aria-labelledby="{key}-title {key}-description">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-description">{escape(description)}</desc>{svg[opening.end() :]}'
    )
