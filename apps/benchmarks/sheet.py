"""Digits that people show to a camera, near and far: how often the camera alone is surely right.

    uv run python apps/benchmarks/sheet.py BUNDLE WRITTEN [--seed 0]

WRITTEN is a folder of `avmnist.py`: its pictures are drawn again by thin and thick pens on sheets and pads
and with chalk on a board, and fonts in print and on a phone's screen. They lie on a desk, are lit from one
side, held by a hand that shakes, filmed in JPEG, from a quarter of the picture's height up. Nothing of the
scenes is from the code that draws `digits`. Each is shown for about two seconds; a digit counts as right if
one window's answer is sure and right and none is sure and wrong. Letters, words, numbers and empty sheets
must stay unsure.
"""

import argparse
import json
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table
from sensemble_runtime import Bundle
from sensemble_runtime.engine.answer import opinion
from sensemble_sensors.spec import InputSpec
from sklearn.datasets import load_sample_images

Floats = NDArray[np.floating]

SIDE = 288  # pixels of the camera's square picture
HEIGHTS = 0.25, 0.4, 0.6, 0.85  # of the picture, that a digit is tall
PENS = {"pen": (0.025, 0.06), "marker": (0.09, 0.17), "pad": (0.04, 0.12), "chalk": (0.05, 0.12)}
"""The width of a stroke, relative to the digit's height."""
KINDS = (*PENS, "print", "phone")
OTHERS = "letter", "word", "number", "empty"
LETTERS = "ABCDEFGHJKLMNPRTUVWXYZabdefhkmnrtwxy?&%+=#@"
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10", "cmtt10")
NAMES = "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"
_SHEET, _DRAWN = 560, 150  # pixels of a sheet's side and of a drawing's height on it
_MARGIN = 12
_SKINS = (232, 190, 160), (200, 150, 115), (120, 80, 55), (75, 50, 38)


def thinned(image: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the skeleton of an image [H, W] (Zhang and Suen, 1984)."""
    image = np.pad(image, 1)
    around = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
    while True:
        before = image.sum()
        for first in (True, False):
            near = [np.roll(image, step, (0, 1)) for step in around]
            count = np.sum(near, axis=0)
            turns = np.sum([~a & b for a, b in zip(near, near[1:] + near[:1], strict=True)], axis=0)
            up, right, down, left = near[::2]
            kept = (
                (up & right & down) | (right & down & left)
                if first
                else (up & right & left) | (up & down & left)
            )
            image = image & ~((count >= 2) & (count <= 6) & (turns == 1) & ~kept)
        if image.sum() == before:
            return image[1:-1, 1:-1]


def trimmed(mask: Floats, margin: int) -> Floats:
    """Return the part of a mask [H, W], 0 to 255, that is drawn on, and a margin."""
    rows, columns = np.nonzero(mask > 60)
    return np.pad(mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], margin)


def written(path: Path, pen: float) -> Floats:
    """Draw the strokes of a picture of MNIST again by another pen."""
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None, path
    large = cv2.resize(trimmed(picture.astype(float), 2), None, fx=9, fy=9, interpolation=cv2.INTER_CUBIC)
    strokes = trimmed(255.0 * thinned(cv2.GaussianBlur(large, (0, 0), 2.5) > 110), 40)
    away = cv2.distanceTransform((strokes == 0).astype(np.uint8), cv2.DIST_L2, 5)
    radius = max(1.2, pen * (len(strokes) - 80) / 2)
    return trimmed(255 * np.clip(radius - cv2.GaussianBlur(away, (0, 0), 2.0) + 0.5, 0, 1), _MARGIN)


def printed(text: str, rng: np.random.Generator) -> Floats:
    """Print a text in one of matplotlib's fonts."""
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{rng.choice(FONTS)}.ttf"
    image = Image.new("L", (1100, 460))
    ImageDraw.Draw(image).text((60, 40), text, fill=255, font=ImageFont.truetype(str(path), 260))
    return trimmed(np.array(image, float), _MARGIN)


def desk(rng: np.random.Generator) -> Floats:
    """Return what lies behind a sheet: wood, a photograph, a colour, or a few things."""
    kind = rng.integers(4)
    if kind == 0:
        grain = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, 12)), (0, 0), 1.5)
        wood = rng.uniform((110, 70, 40), (210, 150, 110))
        return np.asarray(
            np.clip(
                wood + 18 * cv2.resize(grain, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None], 0, 255
            )
        )
    if kind == 1:
        photograph = load_sample_images().images[int(rng.integers(2))]
        top, left = rng.integers(0, np.array(photograph.shape[:2]) - SIDE)
        part = photograph[top : top + SIDE, left : left + SIDE].astype(float)
        return np.asarray(cv2.GaussianBlur(part, (0, 0), rng.uniform(1, 4)))
    plain = np.full((SIDE, SIDE, 3), rng.uniform(40, 220, 3))
    if kind == 2:
        clouds = cv2.resize(rng.normal(0, 8, (40, 40)), (SIDE, SIDE))
        return np.asarray(np.clip(plain + clouds[..., None], 0, 255))
    for _ in range(int(rng.integers(2, 6))):
        middle, size = rng.uniform(0, SIDE, 2), rng.uniform(20, 150, 2)
        corners = cv2.boxPoints((middle.tolist(), size.tolist(), float(rng.uniform(0, 180)))).astype(np.int32)
        cv2.fillPoly(plain, [corners], rng.uniform(0, 255, 3).tolist())
    return np.asarray(cv2.GaussianBlur(plain, (0, 0), 1.5))


def surface(kind: str, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return a sheet, pad, board or screen [_SHEET, _SHEET, 3] and the colour of what is drawn on it."""
    blank = np.ones((_SHEET, _SHEET, 3))
    if kind == "chalk":
        board = (
            rng.uniform((20, 50, 40), (50, 85, 65))
            if rng.random() < 0.6
            else rng.uniform(20, 50) * np.ones(3)
        )
        dust = cv2.resize(rng.normal(0, 6, (29, 29)), (_SHEET, _SHEET))
        return board * blank + dust[..., None], rng.uniform(195, 240) * np.ones(3)
    if kind == "phone":
        light, dark = rng.uniform(230, 255) * np.ones(3), rng.uniform(5, 30) * np.ones(3)
        return (light * blank, dark) if rng.random() < 0.5 else (dark * blank, light)
    if kind == "pad":
        ink = (
            np.array((rng.uniform(140, 200), 20, 30))
            if rng.random() < 0.3
            else rng.uniform(10, 50) * np.ones(3)
        )
        return rng.uniform((225, 205, 110), (250, 240, 200)) * blank, ink
    paper = (rng.uniform(215, 250) + rng.uniform(-10, 10, 3)) * blank
    if kind != "print" and rng.random() < 0.4:
        step = int(rng.integers(28, 60))
        paper[::step] -= (45, 35, 15)
        if rng.random() < 0.5:
            paper[:, ::step] -= (45, 35, 15)
    return paper, rng.uniform((10, 10, 30), (60, 60, 140)) if rng.random() < 0.5 else rng.uniform(
        10, 50
    ) * np.ones(3)


def drawn(mask: Floats, kind: str, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return a surface with a drawing in its middle, and its extent, [_SHEET, _SHEET], 0 or 1."""
    sheet, ink = surface(kind, rng)
    scale = min(_DRAWN / (len(mask) - 2 * _MARGIN), 500 / mask.shape[1])
    shape = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) / 255
    if kind == "chalk":
        shape = cv2.GaussianBlur(
            shape * np.clip(0.55 + 0.45 * rng.normal(0.6, 0.7, shape.shape), 0, 1), (0, 0), 0.8
        )
    high, wide = shape.shape
    middle = _SHEET // 2
    part = sheet[middle - high // 2 :, middle - wide // 2 :][:high, :wide]
    part += rng.uniform(0.8, 1) * shape[..., None] * (ink - part)
    there = np.zeros((_SHEET, _SHEET))
    up, down, left, right = rng.uniform(100, 280, 4).astype(int)
    if kind == "chalk":
        return sheet, np.ones_like(there)
    if kind == "phone":
        up, down, left, right = (
            int(rng.uniform(*ends)) for ends in ((95, 140), (95, 140), (75, 95), (75, 95))
        )
        screen = there.copy()
        screen[middle - up : middle + down, middle - left : middle + right] = 1
        sheet = np.where(screen[..., None] > 0, sheet, rng.uniform(5, 40))
        up, down, left, right = up + 42, down + 42, left + 14, right + 14
    there[max(middle - up, 0) : middle + down, max(middle - left, 0) : middle + right] = 1
    return sheet, there


def film(mask: Floats, kind: str, height: float, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Film a drawing that stands `height` of the picture high; uint8 [count, SIDE, SIDE, 3], RGB."""
    sheet, there = drawn(mask, kind, rng)
    behind = desk(rng)
    half = 0.55 * height * SIDE
    least = min(half + 6, SIDE / 2)
    place = rng.uniform(least, max(SIDE - least, least), 2)
    turn = rng.uniform(-0.17, 0.17) * (0.5 if kind == "chalk" else 1)
    tilt = rng.uniform(-0.25, 0.25, 2) / (1.2 * SIDE)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    light = rng.uniform(0.7, 1.1) * (1 + rng.uniform(-0.3, 0.3) * x + rng.uniform(-0.3, 0.3) * y)
    if rng.random() < 0.35:  # a shadow
        angle, edge = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.25)
        dark = 1 / (1 + np.exp((edge - np.cos(angle) * x - np.sin(angle) * y) / 0.02))
        light *= 1 - rng.uniform(0.2, 0.5) * dark
    held = kind not in ("chalk", "print") and rng.random() < 0.5
    skin, around = np.array(_SKINS[int(rng.integers(len(_SKINS)))], float), rng.uniform(0, 2 * np.pi)
    blur, noise, quality = rng.uniform(0.3, 1.0), rng.uniform(1, 7), int(rng.integers(45, 90))
    walk = np.cumsum(rng.normal(0, 1.2, (count, 2)), axis=0)
    walk -= walk.mean(axis=0)
    turns = turn + np.cumsum(rng.normal(0, 0.008, count))
    zooms = height * SIDE / _DRAWN * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    frames = np.zeros((count, SIDE, SIDE, 3), np.uint8)
    for frame, (right, down), angle, zoom in zip(frames, place + walk, turns, zooms, strict=True):
        cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
        centred = np.array([[1, 0, -_SHEET / 2], [0, 1, -_SHEET / 2], [0, 0, 1]])
        turned = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        seen = np.array([[1, 0, 0], [0, 1, 0], [*tilt, 1]])
        moved = np.array([[1, 0, right], [0, 1, down], [0, 0, 1]])
        matrix, size = moved @ seen @ turned @ centred, (SIDE, SIDE)
        shown = cv2.warpPerspective(sheet, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        border = cv2.BORDER_REPLICATE if kind == "chalk" else cv2.BORDER_CONSTANT
        share = cv2.GaussianBlur(cv2.warpPerspective(there, matrix, size, borderMode=border), (0, 0), 0.8)
        image = behind + share[..., None] * (shown - behind)
        if held:
            hand = np.zeros(size)
            away = 1.35 * half + 30
            middle = round(right + away * np.cos(around)), round(down + away * np.sin(around))
            cv2.ellipse(hand, middle, (42, 27), float(np.degrees(around)), 0, 360, 1.0, -1)
            image += cv2.GaussianBlur(hand, (0, 0), 1.5)[..., None] * (skin - image)
        image = cv2.GaussianBlur(image * light[..., None], (0, 0), blur)
        image = np.clip(image + rng.normal(0, noise, (*size, 1)), 0, 255).astype(np.uint8)
        packed = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        found = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert found is not None
        frame[:] = found[..., ::-1]
    return frames


class Shown(NamedTuple):
    """A scene: its kind, its height, the digit, if it is one, and its frames."""

    kind: str
    height: float
    digit: int | None
    frames: NDArray[np.uint8]


def scenes(folder: Path, count: int, seed: int) -> list[Shown]:
    """Return every digit in every kind and height, and half as many scenes without one."""
    rng = np.random.default_rng(seed)
    lines = map(json.loads, (folder / "index.jsonl").read_text("utf-8").splitlines())
    pictures = defaultdict[str, list[Path]](list)
    for line in lines:
        pictures[line["labels"][0]].append(folder / line["image"])
    found = list[Shown]()
    for kind, height, digit in product(KINDS, HEIGHTS, range(10)):
        if kind in PENS:
            own = pictures[str(digit)]
            mask = written(own[int(rng.integers(len(own)))], rng.uniform(*PENS[kind]))
        else:
            mask = printed(str(digit), rng)
        found.append(Shown(kind, height, digit, film(mask, kind, height, count, rng)))
    for number, (kind, height, other) in enumerate(product(KINDS, HEIGHTS, OTHERS)):
        texts = {
            "letter": str(rng.choice(list(LETTERS))),
            "word": "".join(rng.choice(list(LETTERS), 3)),
            "number": str(10 + 37 * number % 90),
        }
        mask = np.zeros((200, 150)) if other == "empty" else printed(texts[other], rng)
        found.append(Shown(other, height, None, film(mask, kind, height, count, rng)))
    return found


def answers(bundle: Bundle, modality: str, spec: InputSpec, frames: NDArray[np.uint8]) -> list[str | None]:
    """Return the camera's answer to each window of a scene, a half apart; None where it is unsure."""
    _, length, height, width, _ = spec.shape
    small = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in frames])
    found = list[str | None]()
    for begin in range(0, len(small) - length + 1, max(length // 2, 1)):
        embedding = bundle.encode(modality, small[begin : begin + length].astype(np.uint8)[None])
        evidence = bundle.classifier.evidence(modality, embedding[None])
        found.append(opinion(bundle.classifier, {modality: evidence}, (modality,)).label)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("written", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = Bundle.open(arguments.bundle)
    modality, spec = next((m, spec) for m, spec in bundle.specs.items() if spec.kind == "frames")
    counts = defaultdict[tuple[str, float], list[tuple[bool, bool]]](list)
    for kind, height, digit, frames in scenes(arguments.written, 2 * spec.shape[1], arguments.seed):
        sure = {label for label in answers(bundle, modality, spec, frames) if label is not None}
        truth = set() if digit is None else {NAMES[digit]}
        counts[kind, height].append((sure == truth and digit is not None, bool(sure - truth)))
    table = Table(
        "shown", *(f"{100 * height:.0f} % tall" for height in HEIGHTS), title="surely right, surely wrong"
    )
    for kind in (*KINDS, *OTHERS):
        cells = [np.array(counts[kind, height]) for height in HEIGHTS]
        table.add_row(
            kind, *(f"{right} {wrong} of {len(cell)}" for cell in cells for right, wrong in [cell.sum(0)])
        )
    for title, kinds in (("all digits", KINDS), ("no digit", OTHERS)):
        every = [np.concatenate([counts[kind, height] for kind in kinds]) for height in HEIGHTS]
        table.add_row(title, *("{:.0f} % {:.0f} %".format(*100 * cell.mean(0)) for cell in every))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
