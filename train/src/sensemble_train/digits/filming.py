"""Film what is drawn on sheets, boards and screens, in float64 and without OpenCV.

The bytes are the same on every processor.
"""

import numpy as np
from numpy.typing import NDArray

from sensemble_train.digits.drawing import MARGIN, Drawing
from sensemble_train.digits.personas import Persona
from sensemble_train.digits.rendering import SECONDS

Pixels = NDArray[np.float64]

FPS = 4
SIZE = 48
_TALL = 0.25, 0.95  # of the picture's height, least and most of a drawing
_SHAKE = 0.004  # of the picture's height a frame, of who holds the sheet or the camera
_WHOLE, _RULED, _FRAMED, _HANDS, _SHADOWS = 0.35, 0.3, 0.15, 0.25, 0.3  # shares of the sheets
_SKIN = np.array([[0.95, 0.8, 0.7], [0.35, 0.22, 0.15]])  # RGB in [0, 1], lightest and darkest
_GRAIN = 0.04  # median standard deviation of the pixels' noise, relative to full scale


def render_video(
    drawing: Drawing,
    persona: Persona,
    rng: np.random.Generator,
    exposure: float | None = None,
    count: int = int(FPS * SECONDS),
) -> NDArray[np.uint8]:
    """Film a drawing on a person's sheet, board or screen before a desk; uint8 [count, 48, 48, 3], RGB.

    It is a quarter of the picture's height or taller, anywhere in the picture. `exposure` is a factor of
    brightness; None draws one in which the drawing can be seen.
    """
    low, high = np.log(_TALL)
    tall = SIZE * float(np.exp(rng.uniform(low, high)))
    room = max((SIZE - tall) / 2, 1.5)
    centre = SIZE / 2 + rng.uniform(-room, room, 2)
    still = np.cumsum(rng.normal(0, _SHAKE * SIZE, (count, 2)), axis=0)
    places = (
        centre
        + still
        - still.mean(0)
        + SIZE * rng.uniform(-0.03, 0.03, 2) * np.linspace(-0.5, 0.5, count)[:, None]
    )
    turn, lean = rng.uniform(-0.2, 0.2), persona.slant + rng.uniform(-0.1, 0.1)
    linear = tall * np.array([[np.cos(turn), np.sin(turn) - lean], [-np.sin(turn), np.cos(turn)]])
    (a, b), (c, d) = np.linalg.inv(linear)
    y, x = np.mgrid[:SIZE, :SIZE]
    dx, dy = x - places[:, 0, None, None], y - places[:, 1, None, None]
    right, down = a * dx + b * dy, c * dx + d * dy  # in heights of the drawing, from its middle
    sheet, edge = _sheet(right, down, tall, persona, rng)
    frames = _desk(rng) * (1 - edge[..., None]) + edge[..., None] * sheet
    strength = rng.uniform(0.7, 1.0)  # drawn for an empty sheet, too: the rest stays as it is
    if not drawing.empty:
        ink = drawing.ink(round(np.clip(tall, 12, SIZE)))
        scale = len(ink) / (1 + 2 * MARGIN)
        middle = (len(ink) - 1) / 2
        stroke = strength * _interpolate(ink, scale * right + middle, scale * down + middle)
        frames += stroke[..., None] * (np.array(persona.ink) - frames)
    if rng.random() < _HANDS:
        _lay_hand(frames, centre, tall, rng)
    shade = rng.uniform(-0.3, 0.3, 2)  # light from one side
    light = 1 + shade[0] * (x / SIZE - 0.5) + shade[1] * (y / SIZE - 0.5)
    if rng.random() < _SHADOWS:
        angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3)
        across = np.cos(angle) * (x / SIZE - 0.5) + np.sin(angle) * (y / SIZE - 0.5) - off
        light *= 1 - rng.uniform(0.2, 0.5) * np.clip(across / rng.uniform(0.03, 0.2) + 0.5, 0, 1)
    drawn = rng.uniform(0.6, 1.2)
    colour = (drawn if exposure is None else exposure) * rng.uniform(0.9, 1.1, 3)
    frames = frames * light[..., None] * colour
    blur = rng.uniform(0, 0.25)  # to each side
    for axis in (1, 2):
        frames = (1 - 2 * blur) * frames + blur * (np.roll(frames, 1, axis) + np.roll(frames, -1, axis))
    frames += rng.normal(0, _GRAIN * rng.uniform(0.1, 1.3), frames.shape)
    pixels: NDArray[np.uint8] = np.clip(255 * frames, 0, 255).astype(np.uint8)
    return pixels


def _sheet(
    right: Pixels,
    down: Pixels,
    tall: float,
    persona: Persona,
    rng: np.random.Generator,
) -> tuple[Pixels, Pixels]:
    """Return a sheet's colours [n, H, W, 3], plain, ruled or framed, and how much of each pixel it covers."""
    away = np.exp(rng.uniform(np.log(0.6), np.log(2.5), 4))
    if rng.random() < _WHOLE:
        away[:] = 99.0
    inside = np.minimum(
        np.minimum(right + away[0], away[1] - right), np.minimum(down + away[2], away[3] - down)
    )
    sheet = np.broadcast_to(np.array(persona.paper), (*inside.shape, 3))
    if rng.random() < _RULED:
        space, strength = rng.uniform(0.25, 1.2), rng.uniform(0.1, 0.35)
        lines = _ruled(down, space, tall)
        if rng.random() < 0.5:
            lines = np.maximum(lines, _ruled(right, space, tall))
        sheet = sheet + strength * lines[..., None] * (rng.uniform(0, 1, 3) - sheet)
    edge = np.clip(inside * tall + 0.5, 0, 1)
    if rng.random() < _FRAMED:  # a phone, or the frame of a board
        border = rng.uniform(0.05, 0.25)
        sheet = edge[..., None] * sheet + (1 - edge[..., None]) * rng.uniform(0, 0.4)
        edge = np.clip((inside + border) * tall + 0.5, 0, 1)
    return sheet, edge


def _ruled(place: Pixels, space: float, tall: float) -> Pixels:
    """Return lines a pixel wide, `space` apart."""
    away = np.abs((place / space) % 1 - 0.5) * space * tall
    return np.clip(1 - away, 0, 1)


def _desk(rng: np.random.Generator) -> Pixels:
    """Return what lies behind a sheet, [48, 48, 3]: a colour with clouds, grain or a few things on it."""
    desk = np.ones((SIZE, SIZE, 3)) * (rng.uniform(0.1, 0.9) + rng.uniform(-0.15, 0.15, 3))
    rows, columns = rng.integers(2, 24, 2)
    cells = rng.normal(0, rng.uniform(0, 0.2), (rows, columns, 1)) + rng.normal(0, 0.03, (rows, columns, 3))
    y, x = np.arange(SIZE) * rows // SIZE, np.arange(SIZE) * columns // SIZE
    desk += cells[y][:, x]
    for _ in range(int(rng.integers(0, 4))):
        left, top, wide, high = (rng.uniform(-0.2, 0.9, 4) * SIZE).astype(int)
        thing = desk[max(top, 0) : max(top + abs(high) + 3, 0), max(left, 0) : max(left + abs(wide) + 3, 0)]
        thing[:] = rng.uniform(0, 1) + rng.uniform(-0.3, 0.3, 3) + rng.normal(0, 0.05, (*thing.shape[:2], 1))
    return desk


def _lay_hand(frames: Pixels, centre: Pixels, tall: float, rng: np.random.Generator) -> None:
    """Lay a hand, an ellipse the colour of skin, beside a drawing in frames [n, H, W, 3]."""
    skin = _SKIN[0] + rng.random() * (_SKIN[1] - _SKIN[0])
    wide, high = SIZE * rng.uniform(0.08, 0.25, 2)
    angle = rng.uniform(0, 2 * np.pi)
    away = 0.65 * tall + max(wide, high)
    y, x = np.mgrid[:SIZE, :SIZE]
    dx, dy = x - centre[0] - away * np.cos(angle), y - centre[1] - away * np.sin(angle)
    inside = (dx * np.cos(angle) + dy * np.sin(angle)) ** 2 / wide**2 + (
        dy * np.cos(angle) - dx * np.sin(angle)
    ) ** 2 / high**2 < 1
    frames[:, inside] = skin * rng.uniform(0.85, 1.1, (int(inside.sum()), 1))


def _interpolate(image: Pixels, x: Pixels, y: Pixels) -> Pixels:
    """Return an image, 0 outside, at the points (x, y), bilinearly."""
    image = np.pad(image, 1)
    most = len(image) - 1.001
    x, y = np.clip(x + 1, 0, most), np.clip(y + 1, 0, most)
    left, top = x.astype(int), y.astype(int)
    right, low = x - left, y - top
    above = image[top, left] * (1 - right) + image[top, left + 1] * right
    below = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    found: Pixels = above * (1 - low) + below * low
    return found
