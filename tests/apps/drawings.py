"""Figures read back from their SVG: marks in the units of their axes."""

import re
from collections.abc import Iterator
from itertools import pairwise
from statistics import linear_regression
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
Spot = tuple[float, float]


class Drawing:
    """An SVG, inline or a document."""

    @classmethod
    def all_in(cls, html: str) -> "list[Drawing]":
        return [cls(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]

    def __init__(self, svg: str) -> None:
        declared = "xmlns=" in svg[: svg.index(">")]
        text = svg if declared else svg.replace("<svg ", f"<svg {NAMESPACES} ", 1)
        self.root = ET.fromstring(text)  # noqa: S314 - it is our own
        self.words = [text.strip() for text in self.root.itertext() if text.strip()]

    def marks(self, key: str) -> list[Spot]:
        """The (x, y) of the markers of a line or of scattered points."""
        axes, group = self._find(key)
        return [
            self._units(axes, float(use.attrib["x"]), float(use.attrib["y"]))
            for use in group.iter(f"{SVG}use")
        ]

    def ends(self, key: str) -> list[Spot]:
        """The corners of a line's path."""
        axes, group = self._find(key)
        return [self._units(axes, x, y) for x, y in _corners(next(group.iter(f"{SVG}path")).attrib["d"])]

    def has(self, key: str) -> bool:
        return any(group.get("id") == key for group in self.root.iter(f"{SVG}g"))

    def _find(self, key: str) -> tuple[ET.Element, ET.Element]:
        for axes in self.root.iter(f"{SVG}g"):
            if re.search(r"(^|-)axes_\d+$", axes.get("id", "")):
                for group in axes.iter(f"{SVG}g"):
                    if group.get("id") == key:
                        return axes, group
        raise KeyError(key)

    def _units(self, axes: ET.Element, x: float, y: float) -> Spot:
        return _scaled(axes, "x", x), _scaled(axes, "y", y)


def _scaled(axes: ET.Element, axis: str, at: float) -> float:
    """Turn a place into the axis' units by its ticks; names count 0, 1, 2 from the origin."""
    places, values = [], []
    for tick in axes.iter(f"{SVG}g"):
        if re.search(rf"(^|-){axis}tick_\d+$", tick.get("id", "")):
            label = next(tick.iter(f"{SVG}text"))
            line = next((path.attrib["d"] for path in tick.iter(f"{SVG}path")), None)
            place = float(label.attrib["x"]) if line is None else next(_corners(line))["xy".index(axis)]
            places.append(place)
            text = (label.text or "").replace("\N{MINUS SIGN}", "-")
            values.append(float(text) if re.fullmatch(r"-?[\d.]+", text) else float(len(values)))
    if len(places) < 2:
        return 0.0
    assert all(a < b for a, b in pairwise(values))
    slope, intercept = linear_regression(places, values)
    return slope * at + intercept


def _corners(path: str) -> Iterator[Spot]:
    for x, y in re.findall(r"[ML] (\S+) (\S+)", path):
        yield float(x), float(y)
