"""Sounds and sights that show no digit."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sensemble_train.digits.drawing import Drawing, pen
from sensemble_train.digits.rendering import RATE, SECONDS, coloured_noise, place
from sensemble_train.digits.voices import Side

_Wave = NDArray[np.float64]

# Letters and shapes as lines through points of the unit square, from the top left; none looks like a digit.
_STROKES: dict[Side, tuple[str, ...]] = {
    "train": (
        "0,1 .5,0 1,1;.2,.6 .8,.6",  # A
        "1,0 0,0 0,1 1,1;0,.5 .8,.5",  # E
        "0,0 0,1;1,0 1,1;0,.5 1,.5",  # H
        "0,0 0,1;1,0 0,.5 1,1",  # K
        "0,1 0,0 .5,.6 1,0 1,1",  # M
        "0,0 1,1;1,0 0,1",  # X
        "0,.5 1,.5;.5,0 .5,1",  # plus
        "0,.3 1,.3;0,.7 1,.7;.3,0 .3,1;.7,0 .7,1",  # hash
        "0,1 .25,.2 .5,1 .75,.2 1,1",  # zigzag
        "0,.5 1,.5",  # dash
        "0,.2 1,.2;0,.5 1,.5;0,.8 1,.8",  # lines
    ),
    "calibrate": (
        "0,0 .5,1 1,0",  # V
        "1,0 0,0 0,1;0,.5 .8,.5",  # F
        "0,.5 1,.5;.6,.1 1,.5 .6,.9",  # arrow
        "0,.35 1,.35;0,.65 1,.65",  # equals
    ),
    "eval": (
        "0,1 0,0 1,1 1,0",  # N
        "0,0 .25,1 .5,.4 .75,1 1,0",  # W
        "0,0 1,0;.5,0 .5,1",  # T
        "0,0 0,1 1,1",  # L
        ".5,0 .5,1;.05,.25 .95,.75;.95,.25 .05,.75",  # star
        "0,1 0,.45 .5,0 1,.45 1,1 0,1;.4,1 .4,.7 .6,.7 .6,1",  # house
        "0,.6 .35,1 1,0",  # check mark
    ),
}

# Nearer to digits: round, or of few strokes.
_NEAR: dict[Side, tuple[str, ...]] = {
    "calibrate": (
        ".9,0 .9,.7 .5,1 0,.8",  # J
        "0,1 0,0 .8,.1 .9,.3 .9,1",  # n
        "1,0 0,.5 1,1",  # less than
        ".5,0 1,.5 .5,1 0,.5 .5,0",  # diamond
    ),
    "eval": (
        "0,1 0,0 .8,0 1,.25 .8,.5 0,.5",  # P
        "1,.1 .4,0 0,.4 0,.6 .4,1 1,.9",  # C
        "0,0 0,.8 .5,1 1,.8 1,0",  # U
        "0,0 .5,.5 1,0;.5,.5 .5,1",  # Y
        "0,0 0,1;0,.5 .7,.45 .9,.7 .9,1",  # h
        "0,.5 1,.5 .9,.1 .4,0 0,.4 .2,.9 .9,.95",  # e
        "0,.2 .5,0 1,.2 .5,.6 .5,.75;.5,.95 .5,1",  # question mark
        "1,0 0,1;.1,.1 .3,.1 .3,.3 .1,.3 .1,.1;.7,.7 .9,.7 .9,.9 .7,.9 .7,.7",  # per cent
        "0,1 .5,0 1,1 0,1",  # triangle
        "0,.1 1,.1;.3,.1 .2,1;.7,.1 .8,1",  # pi
    ),
}


def letter_lines(
    side: Side, rng: np.random.Generator, drawings: dict[Side, tuple[str, ...]] = _STROKES
) -> list[NDArray[np.float64]]:
    """Draw a letter or a shape as lines through points [n, 2] of the unit square."""
    text = str(rng.choice(drawings[side]))
    return [np.array([point.split(",") for point in line.split()], float) for line in text.split(";")]


def _letter(
    side: Side, rng: np.random.Generator, drawings: dict[Side, tuple[str, ...]] = _STROKES
) -> Drawing:
    width = rng.uniform(0.6, 1.0)
    lines = [line + rng.normal(0, 0.025, line.shape) for line in letter_lines(side, rng, drawings)]
    return Drawing(tuple((line - 0.5) * (width, 1.0) + 0.5 for line in lines), pen(rng))


def _scribble(_side: Side, rng: np.random.Generator) -> Drawing:
    return Drawing((rng.uniform(0, 1, (int(rng.integers(6, 14)), 2)),), pen(rng))


def _writing(_side: Side, rng: np.random.Generator) -> Drawing:
    """Draw a few rows of writing that is too small to read."""
    rows, steps = int(rng.integers(2, 6)), np.linspace(0, 1, int(rng.integers(20, 50)))
    return Drawing(
        tuple(
            np.stack(
                [steps * rng.uniform(0.5, 1.0), (row + rng.uniform(0.2, 0.8, len(steps))) / rows], axis=1
            )
            for row in range(rows)
        ),
        float(rng.uniform(0.02, 0.04)),
    )


def _sheet(_side: Side, _rng: np.random.Generator) -> Drawing:
    return Drawing()


def sight(side: Side, rng: np.random.Generator) -> tuple[Drawing, float | None]:
    """Draw an empty sheet, writing, a scribble, a letter, or a picture too dark or too bright to see.

    Returns a drawing to film, and its brightness: None for the light of a room.
    """
    kind = rng.random()
    if kind < 0.15:  # the lens is covered, or the sun shines into it
        return _sheet(side, rng), float(rng.choice((rng.uniform(0.0, 0.05), rng.uniform(5.0, 20.0))))
    drawn = _sheet if kind < 0.4 else _writing if kind < 0.48 else _scribble if kind < 0.65 else _letter
    return drawn(side, rng), None


def near_sight(side: Side, rng: np.random.Generator) -> Drawing:
    """Draw a letter or a sign that is nearer to digits, or a busy scene: two to four of them, small."""
    if rng.random() < 0.7:
        return _letter(side, rng, _NEAR)
    quarters = rng.permutation(4)[: int(rng.integers(2, 5))]
    corners = [0.05 + 0.5 * np.array(divmod(int(quarter), 2)) for quarter in quarters]
    lines = (corner + 0.4 * line for corner in corners for line in letter_lines(side, rng, _NEAR))
    return Drawing(tuple(lines), float(rng.uniform(0.04, 0.1)))


def _tone(rng: np.random.Generator) -> _Wave:
    clock = np.arange(int(RATE * SECONDS)) / RATE
    low, high = 100 * 40 ** rng.random(2)
    glide = high if rng.random() < 0.5 else low  # a steady tone, or a siren
    frequency = low + (glide - low) * clock / SECONDS
    wave: _Wave = np.sin(2 * np.pi * np.cumsum(frequency) / RATE)
    if rng.random() < 0.5:  # it beeps
        wave *= np.sin(2 * np.pi * rng.uniform(1, 6) * clock + rng.uniform(0, 2 * np.pi)) > 0
    return wave


def _chords(rng: np.random.Generator) -> _Wave:
    clock = np.arange(int(RATE * SECONDS)) / RATE
    wave = np.zeros_like(clock)
    scale = 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]) / 12)
    root, decay = 110 * 4 ** rng.random(), rng.uniform(0, 6)
    for begin in np.arange(0, SECONDS, rng.choice((0.25, 0.5, 1.0))):
        since = np.maximum(clock - begin, 0)
        sounding = (clock >= begin) * np.minimum(since / 0.01, 1) * np.exp(-decay * since)
        for note in rng.choice(scale, int(rng.integers(1, 4)), replace=False):
            for harmonic in range(1, 7):
                tone = np.sin(2 * np.pi * root * note * harmonic * since)
                wave += sounding * tone / harmonic ** rng.uniform(1, 2)
    return wave


def _knocks(rng: np.random.Generator) -> _Wave:
    wave = np.zeros(int(RATE * SECONDS))
    for _ in range(int(rng.integers(1, 6))):
        length = int(RATE * rng.uniform(0.01, 0.12))
        burst = coloured_noise(rng.uniform(0, 2), rng)[:length] * 10 ** (-2 * np.linspace(0, 1, length))
        wave += place(burst, rng)
    return wave


def _noise(rng: np.random.Generator) -> _Wave:
    """Return noise between blue and brown, steady or swelling."""
    swell = rng.uniform(0, 1) * np.sin(np.pi * np.arange(int(RATE * SECONDS)) / RATE + rng.uniform(0, np.pi))
    return coloured_noise(rng.uniform(-1, 2.5), rng) * (1 + swell)


SOUNDS: dict[str, Callable[[np.random.Generator], _Wave]] = {
    "noise": _noise,
    "tone": _tone,
    "chords": _chords,
    "knocks": _knocks,
}
"""Sounds without a voice, by name; each returns float64 [16000], not silent, at any level."""
