"""Drawings for the camera: digits by hand and in print, letters, scribbles; and their pens."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]  # points [n, 2] (x, y) of the unit square, from the top left

MARGIN = 0.15
"""Of a drawing's height, around it."""
_PEN = 0.025, 0.18  # width of a pen's stroke, relative to the drawing's height
_PRINTED, _FILMED_PICTURE = 0.25, 0.4  # of the digits, those in print, and those of scikit-learn
_SIDE = 8  # pixels of a picture of scikit-learn

# Each digit in the ways that people write and print it: `~` begins a curve through its points.
_DIGITS = (
    (
        "~.55,0 .2,.12 .05,.5 .2,.88 .5,1 .82,.88 .95,.5 .82,.12 .5,0",
        "~.6,.02 .15,.15 .1,.6 .35,1 .75,.95 .95,.5 .8,.08 .4,.03",
        "~.5,0 .25,.1 .18,.5 .25,.9 .5,1 .75,.9 .82,.5 .75,.1 .5,0",
    ),
    (
        ".5,0 .5,1",
        ".3,.22 .55,0 .55,1",
        ".1,.4 .6,0 .6,1",
        ".3,.18 .52,0 .52,1;.25,1 .8,1",
        "~.3,.2 .45,.12 .52,0;.52,0 .52,1;.25,1 .8,1",
    ),
    (
        "~.12,.25 .25,.04 .55,0 .85,.1 .85,.35 .6,.62 .12,1;.12,1 .92,1",
        "~.1,.2 .5,0 .88,.2 .7,.5 .35,.9 .1,.97 .15,.82 .4,.85 .6,.98 .95,.95",
        "~.15,.1 .5,0 .8,.15 .75,.45 .1,1;~.1,1 .4,.93 .95,1",
        ".1,0 .85,0;~.85,0 .9,.35 .5,.6 .1,1;.1,1 .9,1",
    ),
    (
        "~.12,.14 .4,0 .8,.06 .85,.32 .65,.46 .38,.48;~.38,.48 .75,.5 .92,.72 .8,.95 .4,1 .08,.88",
        ".12,0 .85,0 .42,.4;~.42,.4 .75,.42 .92,.7 .75,.95 .4,1 .1,.9",
        "~.15,.08 .6,0 .85,.2 .35,.45;~.35,.45 .95,.6 .8,.95 .1,.97",
    ),
    (
        ".25,0 .12,.62 .88,.62;.65,.3 .62,1",
        ".68,1 .68,0 .05,.7 .95,.7",
        ".35,0 .1,.55 .9,.5;.78,.05 .6,1",
        "~.2,0 .15,.4 .3,.52 .8,.45;.8,0 .78,1",
    ),
    (
        ".85,0 .22,0 .18,.45;~.18,.45 .5,.34 .85,.48 .9,.75 .7,.97 .35,1 .08,.88",
        "~.88,.03 .35,.02 .2,.4 .6,.42 .88,.65 .65,.97 .1,.95",
        ".25,.02 .2,.42;~.2,.42 .6,.38 .9,.65 .7,.97 .12,.95;.22,.02 .9,0",
    ),
    (
        "~.75,.02 .4,.15 .12,.55 .18,.88 .5,1 .82,.9 .88,.65 .55,.48 .2,.62",
        "~.65,0 .15,.45 .1,.8 .45,1 .85,.85 .75,.58 .4,.55 .12,.75",
        "~.8,.08 .5,0 .2,.2 .1,.6 .25,.93 .5,1 .8,.92 .9,.7 .75,.5 .5,.45 .15,.6",
    ),
    (
        ".08,0 .92,0 .4,1",
        ".1,.02 .9,0 .45,1;.28,.5 .78,.48",
        ".1,.18 .1,0 .9,0 .5,1",
        ".1,0 .9,0;~.9,0 .55,.45 .42,1",
        "~.08,.12 .2,.02 .5,.1 .92,0;.92,0 .45,1;.3,.52 .8,.5",
    ),
    (
        "~.5,.47 .2,.32 .22,.06 .5,0 .78,.06 .8,.32 .5,.47 .12,.66 .15,.94 .5,1 .85,.94 .88,.66 .5,.47",
        "~.82,.15 .55,0 .2,.12 .28,.38 .72,.6 .85,.85 .5,1 .15,.85 .28,.6 .72,.38 .82,.15",
        "~.5,.45 .25,.25 .5,0 .75,.22 .5,.45;~.5,.45 .1,.72 .5,1 .9,.72 .5,.45",
    ),
    (
        "~.85,.3 .6,.52 .25,.48 .12,.25 .3,.04 .65,.02 .85,.3;.85,.3 .8,1",
        "~.85,.25 .7,.45 .35,.48 .1,.3 .3,.03 .7,.02 .87,.25 .85,.65 .6,.95 .2,.97",
        "~.8,.1 .45,0 .12,.2 .3,.48 .8,.3;~.82,.08 .8,.5 .55,1",
    ),
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines that a pen draws, or a picture of scikit-learn; neither is an empty sheet.

    Attributes:
        pen: width of the stroke, relative to the drawing's height.
        nib: how much thinner it is across than down, as in print.
        picture: float64 [8, 8], 0 to 16.
    """

    lines: tuple[Line, ...] = ()
    pen: float = 0.1
    nib: float = 1.0
    picture: NDArray[np.float64] | None = None

    @property
    def empty(self) -> bool:
        """Tell whether nothing is drawn."""
        return not self.lines and self.picture is None

    def ink(self, tall: int) -> NDArray[np.float64]:
        """Return the ink on the unit square and its `MARGIN`, `tall` pixels each way; float64, 0 to 1."""
        grid = (np.arange(tall) + 0.5) / tall * (1 + 2 * MARGIN) - MARGIN
        if self.picture is not None:
            return np.clip((_picture(self.picture, grid) - 0.4) * (0.25 / self.pen) + 0.5, 0, 1)
        if not self.lines:
            return np.zeros((tall, tall))
        stretch = 1.0, self.nib
        points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 1, 2) * stretch
        begin = np.concatenate([line[:-1] for line in self.lines]) * stretch
        span = np.concatenate([np.diff(line, axis=0) for line in self.lines]) * stretch
        offset = points - begin
        along = np.clip((offset * span).sum(-1) / np.maximum((span**2).sum(-1), 1e-9), 0, 1)
        away = offset - along[..., None] * span
        nearest = np.sqrt((away**2).sum(-1).min(1)).reshape(tall, tall)
        pixels = tall / (1 + 2 * MARGIN)
        radius = self.pen / 2 * pixels
        ink: NDArray[np.float64] = np.clip(radius + 0.5 - nearest * pixels, 0, min(1.0, 2 * radius))
        return ink


def pen(rng: np.random.Generator) -> float:
    """Draw the width of a stroke, from a thin pen's to a marker's."""
    low, high = np.log(_PEN)
    return float(np.exp(rng.uniform(low, high)))


def digit_drawing(digit: int, picture: NDArray[np.float64], rng: np.random.Generator) -> Drawing:
    """Draw a digit: as a writer's `picture` of scikit-learn has it, by another hand, or in print."""
    kind = rng.random()
    if kind < _FILMED_PICTURE:
        return Drawing(picture=picture, pen=float(rng.uniform(0.06, 0.25)))
    text = _DIGITS[digit][int(rng.integers(len(_DIGITS[digit])))]
    width = rng.uniform(0.5, 0.85)
    if kind < _FILMED_PICTURE + _PRINTED:
        lines = [_bent(line, 0.012, rng) for line in text.split(";")]
        nib = float(rng.uniform(1.0, 2.2))
        thick = float(rng.uniform(0.07, 0.2))
        return Drawing(tuple(_narrow(line, width) for line in lines), thick, nib)
    lines = [_bent(line, 0.035, rng) for line in text.split(";")]
    waves = rng.normal(0, 1, (2, 2)), rng.uniform(0, 2 * np.pi, (2, 2)), rng.normal(0, 0.03, (2, 2))
    return Drawing(tuple(_narrow(_wavy(line, *waves), width) for line in lines), pen(rng))


def _narrow(line: Line, width: float) -> Line:
    return (line - 0.5) * (width, 1.0) + 0.5


def _bent(text: str, spread: float, rng: np.random.Generator) -> Line:
    """Return a line through its points, moved a little; corners of a curve are cut (Chaikin, 1974)."""
    line = np.array([point.split(",") for point in text.removeprefix("~").split()], float)
    line = line + rng.normal(0, spread, line.shape)
    if text.startswith("~"):
        for _ in range(2):
            cut = [point for a, b in pairwise(line) for point in (0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b)]
            line = np.array([line[0], *cut, line[-1]])
        return line
    places = np.linspace(0, len(line) - 1, 3 * (len(line) - 1) + 1)  # so that it can bend
    return np.stack([np.interp(places, np.arange(len(line)), column) for column in line.T], axis=1)


def _wavy(line: Line, waves: Line, phases: Line, strengths: Line) -> Line:
    """Bend the sheet under a line, each way by two waves."""
    bent: Line = line + sum(
        strengths[i] * np.sin(2 * np.pi * (line @ waves[i])[:, None] + phases[i]) for i in range(2)
    )
    return bent


def _picture(picture: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a picture's ink, 0 outside, at the places of a grid each way, bilinearly."""
    padded = np.pad(picture / 16.0, 2)
    place = np.clip(grid * _SIDE + 1.5, 0, len(padded) - 1.001)
    first = place.astype(int)
    rest = place - first
    weights = np.zeros((len(grid), len(padded)))
    rows = np.arange(len(grid))
    weights[rows, first], weights[rows, first + 1] = 1 - rest, rest
    found: NDArray[np.float64] = weights @ padded @ weights.T
    return found
