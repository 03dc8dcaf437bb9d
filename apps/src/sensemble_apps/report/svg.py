"""Draw with matplotlib for a page: SVG in its CSS colours, for light and dark."""

import io
import re
from collections.abc import Callable, Iterable, Mapping
from html import escape
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_SIZE = 3.6, 2.9  # inches: about a phone's width, so that a phone does not scale the text down


def draw(
    key: str,
    title: str,
    description: str,
    paint: Callable[[Axes], None],
    size: tuple[float, float] = _SIZE,
) -> str:
    """Return a pair of axes as an SVG element for a page with several of them.

    The style sheet is removed, since it would style the page; ids get a prefix, colours become the page's
    variables, and text takes the page's font.

    Args:
        key: prefix of the element's ids, unique in the page.
        title: its accessible name.
        description: its numbers in words, for readers who cannot see it.
        paint: draws into the axes, in the colours of this module.
        size: width and height in inches.
    """
    file = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(size, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        paint(axes)
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = re.sub(rf'( id="|url\(#|href="#)(?!{key}-)', rf"\g<1>{key}-", file.getvalue())
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    # What comes before is the document type, which names an outside address.
    opening = re.search(r'<svg [^>]*?width="[\d.]+pt" height="[\d.]+pt" viewBox="([^"]*)"[^>]*>', svg)
    if opening is None:
        raise ValueError("matplotlib's SVG begins in an unknown way")
    return (
        f'<svg viewBox="{opening[1]}" role="img" aria-labelledby="{key}-title {key}-description">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-description">{escape(description)}</desc>{svg[opening.end() :]}'
    )


def legend(titles: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return of each series its title, its colour (a CSS variable of the page) and its glyph."""
    looks = [(f"--series-{i}", glyph) for i, glyph in enumerate(GLYPHS)]
    return [(title, *look) for title, look in zip(titles, cycle(looks), strict=False)]


def look(place: int) -> dict[str, Any]:
    """Return the colour and the marker of a series."""
    return {"color": SERIES[place % len(SERIES)], "marker": MARKERS[place % len(MARKERS)]}


def lines(key: str, title: str, series: Mapping[str, Mapping[Any, float]], point: str, x: str, y: str) -> str:
    """Draw a line for each series, of its y by x; `point` writes one for the description."""

    def paint(axes: Axes) -> None:
        for place, line in enumerate(series.values()):
            axes.plot(list(line), list(line.values()), linewidth=1.8, **look(place))
        axes.set_ylim(bottom=0)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(axis="y")

    described = "; ".join(
        f"{name}: {', '.join(point.format(*pair) for pair in line.items())}" for name, line in series.items()
    )
    return draw(key, title, described, paint)
