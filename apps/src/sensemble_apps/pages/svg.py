"""Render panels as SVG: inline, in the page's CSS colours for light and dark, or as files."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from math import ceil
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Matplotlib needs real colours: each is replaced by a CSS variable once the SVG is written.
INK, GRID = "#010203", "#040506"
SERIES = tuple(f"#0708{i:02x}" for i in range(8))
BARS = tuple(f"#0a0b{i:02x}" for i in range(4))
_VARIABLES = (
    {INK: "--muted", GRID: "--line"}
    | {colour: f"--series-{i}" for i, colour in enumerate(SERIES)}
    | {colour: f"--bar-{i}" for i, colour in enumerate(BARS)}
)
MARKERS = ("o", "s", "^", "D", "P", "v", "X", "p")
GLYPHS = ("●", "■", "▲", "◆", "✚", "▼", "✖", "⬟")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sensemble",
    "font.size": 10,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_WIDTH, _HEIGHT = 3.6, 2.9  # inches: about a phone's width, so that a phone does not scale the text down


@dataclass(frozen=True, slots=True)
class Panel:
    """A pair of axes, with a description for readers who cannot see it.

    Attributes:
        key: prefix of the SVG's element ids, unique in the page.
        title: its accessible name.
        description: its numbers in words.
        draw: draws into the axes, in the colours of this module.
        size: width and height in inches, on a page.
    """

    key: str
    title: str
    description: str
    draw: Callable[[Axes], None]
    size: tuple[float, float] = (_WIDTH, _HEIGHT)


@dataclass(frozen=True, slots=True)
class Legend:
    """The meaning of a colour of `SERIES` (with its marker) or of `BARS`."""

    label: str
    colour: str
    marker: str


def method_legend(label: str, look: int) -> Legend:
    """Return the legend of a method with the colour and marker numbered `look`."""
    return Legend(label, SERIES[look % len(SERIES)], MARKERS[look % len(MARKERS)])


def bar_legend(label: str, place: int) -> Legend:
    """Return the legend of the bars numbered `place`."""
    return Legend(label, BARS[place % len(BARS)], "s")


def variable(colour: str) -> str:
    """Return the page's CSS variable that a colour of this module stands for."""
    return _VARIABLES[colour]


def inline(panel: Panel) -> str:
    """Return the panel as an SVG element for a page with several of them.

    Its style sheet is removed, since it would style the page; ids get a prefix, colours become the page's
    variables, and text takes the page's font.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(panel.size, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        panel.draw(axes)
        svg = _text(figure)
    svg = re.sub(rf'( id="|url\(#|href="#)(?!{panel.key}-)', rf"\g<1>{panel.key}-", svg)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    opening = re.match(r'<svg [^>]*?width="([\d.]+)pt" height="[\d.]+pt" viewBox="([^"]*)"[^>]*>', svg)
    if opening is None:
        raise ValueError("matplotlib's SVG begins in an unknown way")
    return (
        f'<svg viewBox="{opening[2]}" role="img" aria-labelledby="{panel.key}-title {panel.key}-description">'
        f'<title id="{panel.key}-title">{escape(panel.title)}</title>'
        f'<desc id="{panel.key}-description">{escape(panel.description)}</desc>{svg[opening.end() :]}'
    )


def standalone(rows: Sequence[Sequence[tuple[str, Panel]]], legend: Sequence[Legend]) -> str:
    """Return an SVG document: titled panels in rows, in the light colours on white, with a legend below."""
    with mpl.rc_context(_STYLE):
        across = max(len(row) for row in rows)
        columns = 2 * across
        size = (_WIDTH * across, _HEIGHT * len(rows) + 0.24 * ceil(len(legend) / columns))
        figure = Figure(size, layout="constrained")
        for row, axes in zip(rows, figure.subplots(len(rows), across, squeeze=False), strict=True):
            for place, axis in enumerate(axes):
                if place < len(row):
                    title, panel = row[place]
                    axis.set_title(title, size=10, color=INK)
                    panel.draw(axis)
                else:
                    axis.set_axis_off()
        marks = [Line2D([], [], color=x.colour, marker=x.marker, linestyle="") for x in legend]
        figure.legend(marks, [x.label for x in legend], loc="outside lower left", ncols=columns)
        svg = _text(figure)
    light = _light()
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, light[variable])
    described = "; ".join(f"{panel.title}: {panel.description}" for row in rows for _, panel in row)
    return re.sub(r"(<svg [^>]*>)", lambda tag: f"{tag[1]}<desc>{escape(described)}</desc>", svg, count=1)


def _text(figure: Figure) -> str:
    """Return the figure as SVG, without the document type, which names an outside address."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    written = file.getvalue()
    return written[written.index("<svg") :]


def _light() -> dict[str, str]:
    """Return the page's light colours by variable, for a file, which has no style sheet."""
    css = resources.files("sensemble_apps").joinpath("templates/report.css").read_text(encoding="utf-8")
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]+)", css[: css.index("}")]))
