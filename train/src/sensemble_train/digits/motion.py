"""Render, in float64, the motion of a wrist that writes a digit in the air at the end of a forearm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_train.digits.backgrounds import letter_lines
from sensemble_train.digits.personas import Persona
from sensemble_train.digits.rendering import SECONDS

Floats = NDArray[np.float64]

MOTION_RATE = 100  # rows a second
CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")
UNITS = ("m/s^2",) * 3 + ("rad/s",) * 3
RANGES = ((-78.5, 78.5),) * 3 + ((-34.9, 34.9),) * 3  # of a common unit: 8 g and 2,000 degrees a second

_GRAVITY = 9.81  # m/s^2
_FOREARM = 0.35  # m, from the elbow to the unit
_FINE = 10  # points of a stroke for each row
_NOISE = 0.5, 0.1  # standard deviations, m/s^2 and rad/s
_SLOPPY = 0.12  # standard deviation of a stroke's points from one time to the next, relative to its size
_STEPS = 1.5, 2.5  # Hz, of a person who walks while writing
_GAIT = 4.0  # m/s^2 at most

# One line a digit through points of the unit square, from the top left; between strokes the wrist moves on.
_DIGITS = (
    ".5,0 .2,.1 .05,.5 .2,.9 .5,1 .8,.9 .95,.5 .8,.1 .5,0",
    ".35,.2 .55,0 .55,.5 .55,1",
    ".1,.25 .3,.02 .7,.02 .9,.3 .5,.65 .1,1 .5,1 .9,1",
    ".1,.1 .5,0 .85,.2 .5,.48 .9,.75 .5,1 .1,.9",
    ".6,0 .35,.33 .1,.65 .5,.65 .9,.65 .65,.3 .65,.65 .65,1",
    ".85,0 .2,0 .15,.45 .6,.4 .9,.7 .6,1 .1,.9",
    ".75,.02 .3,.3 .1,.7 .4,1 .8,.8 .6,.5 .15,.65",
    ".1,0 .5,0 .9,0 .65,.5 .4,1",
    ".8,.15 .5,0 .2,.2 .5,.47 .85,.75 .5,1 .15,.78 .5,.47 .8,.2",
    ".85,.25 .5,0 .15,.25 .5,.5 .85,.25 .83,.6 .75,1",
)


@dataclass(frozen=True, slots=True)
class Wrist:
    """The habits of one person's writing in the air."""

    mount: Floats  # rotation from the body to the unit, [3, 3]
    bias: Floats  # of each channel, [6]
    size: Floats  # width and height of a digit (m)
    style: Floats  # offsets of a stroke's points, relative to its size, [16, 2]
    tremor: tuple[float, float]  # amplitude (m) and frequency (Hz)
    seconds: float  # that a digit takes


def wrist(persona: Persona, rng: np.random.Generator) -> Wrist:
    """Draw the wrist of a person; a fast speaker writes fast."""
    return Wrist(
        mount=_rotation(rng.normal(0, 0.6, 3)),
        bias=np.concatenate([rng.normal(0, 0.3, 3), rng.normal(0, 0.05, 3)]),
        size=rng.uniform(0.15, 0.3, 2),
        style=rng.normal(0, 0.05, (16, 2)),
        tremor=(float(rng.uniform(0.0001, 0.0005)), float(rng.uniform(7, 11))),
        seconds=float(0.9 - 0.3 * (persona.pace - 140) / 70 + rng.uniform(-0.05, 0.05)),
    )


def render_motion(
    digit: int | None, persona: Persona, worn: Wrist, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return what the unit measures while a digit, or none, is written; float32 [100, 6] (`CHANNELS`)."""
    count = int(MOTION_RATE * SECONDS) * _FINE
    clock = np.arange(count) / (MOTION_RATE * _FINE)
    place = np.zeros((count, 2)) if digit is None and rng.random() < 0.3 else _path(digit, persona, worn, rng)
    amplitude, hertz = worn.tremor
    phase = rng.uniform(0, 2 * np.pi, 3)
    shake = amplitude * np.sin(2 * np.pi * hertz * clock[:, None] + phase)
    position = np.concatenate([place, np.zeros((count, 1))], axis=1) + shake  # right, down, ahead
    step = 1 / (MOTION_RATE * _FINE)
    velocity = np.gradient(position, step, axis=0)
    acceleration = np.gradient(velocity, step, axis=0)
    turn = np.stack([-velocity[:, 1], velocity[:, 0], rng.normal(0, 0.2) * velocity[:, 0]], axis=1) / _FOREARM
    # How the forearm points tells gravity where to pull.
    pitch, yaw = -position[:, 1] / _FOREARM, position[:, 0] / _FOREARM
    up = np.stack([np.sin(yaw) * np.sin(pitch), -np.cos(pitch), np.sin(pitch)], axis=1)
    walk = rng.uniform(0, _GAIT) * np.sin(2 * np.pi * (rng.uniform(*_STEPS) * clock + rng.random()))
    acceleration[:, 1:] += walk[:, None] * (1.0, 0.5)
    body = np.concatenate([acceleration + _GRAVITY * up, turn], axis=1)[_FINE // 2 :: _FINE]
    mount = _rotation(rng.normal(0, 0.15, 3)) @ worn.mount  # it never sits quite the same
    rows = np.concatenate([body[:, :3] @ mount.T, body[:, 3:] @ mount.T], axis=1) + worn.bias
    rows += np.repeat(_NOISE, 3) * rng.normal(size=rows.shape)
    low, high = np.transpose(RANGES)
    measured: NDArray[np.float32] = np.clip(rows, low, high).astype(np.float32)
    return measured


def _path(digit: int | None, persona: Persona, worn: Wrist, rng: np.random.Generator) -> Floats:
    """Return the wrist's place at each fine step, (right, down) in m, [n, 2]."""
    points = _points(_DIGITS[digit]) if digit is not None else _no_digit(persona, rng)
    points = points + worn.style[: len(points)] + rng.normal(0, _SLOPPY, points.shape)
    points = (points - 0.5) * worn.size
    points[:, 0] -= persona.slant * points[:, 1]
    count = int(MOTION_RATE * SECONDS) * _FINE
    lasts = min(worn.seconds * rng.uniform(0.9, 1.1), 0.95 * SECONDS)
    begin = rng.uniform(0, SECONDS - lasts)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    share = np.clip((np.arange(count) / count * SECONDS - begin) / lasts, 0, 1)
    walked = along[-1] * (share - np.sin(2 * np.pi * share) / (2 * np.pi))  # from rest to rest
    line = np.stack([np.interp(walked, along, column) for column in points.T], axis=1)
    width = int(0.04 * MOTION_RATE * _FINE)  # muscles round the corners
    bell = np.exp(-0.5 * (np.arange(-3 * width, 3 * width + 1) / width) ** 2)
    padded = np.pad(line, ((3 * width, 3 * width), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, bell / bell.sum(), "valid") for column in padded.T], axis=1)


def _no_digit(persona: Persona, rng: np.random.Generator) -> Floats:
    """Return the points of a letter, a shape, or a random gesture."""
    if rng.random() < 0.5:
        return np.concatenate(letter_lines(persona.side, rng))[:16]
    return rng.uniform(0, 1, (int(rng.integers(3, 9)), 2))


def _points(text: str) -> Floats:
    return np.array([point.split(",") for point in text.split()], float)


def _rotation(vector: Floats) -> Floats:
    """Return the rotation about a vector by its length in radians (Rodrigues)."""
    angle = max(float(np.linalg.norm(vector)), 1e-9)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned: Floats = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turned
