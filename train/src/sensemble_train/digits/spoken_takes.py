"""A small recording as a person would make it: three words, each said while its own thing moves about.

In pictures, a class is a thing of some shape and about some colour; size, place, turn and way, scenery and
light differ from take to take. In sound, it is a word, by a few voices, at any level, in any noise.
"""

from collections.abc import Iterator, Sequence
from colorsys import hsv_to_rgb
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime.progress import Progress, no_progress
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample

from sensemble_train.digits.speech import RATE as SPOKEN
from sensemble_train.digits.speech import Utterance, speak

HUES = {"yes": 0.33, "no": 0.0, "stop": 0.62}  # of the things: about green, red and blue
CLASSES = tuple(HUES)
RATE, FPS, SIDE = 16000, 15, 128
FORM = dict(zip(("audio", "video"), ((RATE,), (SIDE, SIDE)), strict=True))
_VOICES = ("en-us+m3", "en+f4", "en-us+max", "en+linda")

Image = NDArray[np.float64]


def record(
    folder: Path,
    takes: int,
    *,
    seconds: float = 3.0,
    backgrounds: int = 0,
    progress: Progress = no_progress,
) -> Path:
    """Record takes of each class in turn, then of backgrounds, all in train.

    Args:
        folder: of the recording.
        takes: of each class.
        seconds: length of a take.
        backgrounds: takes of a room and a scenery alone.
        progress: called with (takes done, takes in all).
    """
    rng = np.random.default_rng(0)
    kinds = [*list(CLASSES) * takes, *[""] * backgrounds]
    words = _words(kinds, round(seconds), rng)
    for number, (kind, said) in enumerate(zip(kinds, words, strict=True)):
        labels = [kind] if kind else ()
        with Recording(folder, FORM, split="train", labels=labels, background=not kind) as out:
            begin = out.began + 5  # at a whole second, so that every take has as many segments
            for i, frame in enumerate(_film(kind, round(FPS * seconds), rng)):
                out.put(Sample("video", frame, begin + i / FPS, cut=i == 0))
            for i, piece in enumerate(np.split(_sound(said, seconds, rng), round(10 * seconds))):
                out.put(Sample("audio", piece, begin + i / 10, cut=i == 0))
        progress(number + 1, len(kinds))
    return folder


def _words(kinds: Sequence[str], each: int, rng: np.random.Generator) -> Iterator[list[NDArray[np.int16]]]:
    """Yield the words of each take, said by one voice; none for a background."""

    def asked() -> Iterator[Utterance]:
        for kind in kinds:
            voice, pitch = str(rng.choice(_VOICES)), int(rng.integers(35, 66))
            for _ in range(each if kind else 0):
                yield Utterance(kind, voice, pitch + int(rng.integers(-5, 6)), int(rng.integers(140, 200)))

    spoken = speak(list(asked()))
    for kind in kinds:
        yield [next(spoken) for _ in range(each if kind else 0)]


def _sound(
    said: Sequence[NDArray[np.int16]], seconds: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Say a word each second, somewhere, in a room's noise and at some level; float32 [n]."""
    count = round(RATE * seconds)
    wave = np.zeros(count)
    for second, word in enumerate(said):
        length = round(len(word) * RATE / SPOKEN)
        spoken = np.interp(np.arange(length) * SPOKEN / RATE, np.arange(len(word)), word / 32768.0)
        at = RATE * second + int(rng.integers(0, RATE // 2))
        spoken = spoken[: count - at]
        wave[at : at + len(spoken)] += spoken
    spectrum = np.fft.rfft(rng.normal(0, 1, count))
    noise = np.fft.irfft(spectrum * np.arange(1, len(spectrum) + 1) ** -rng.uniform(0, 0.6), count)
    loud = np.sqrt(np.mean(wave**2)) or 0.05
    wave += noise / noise.std() * loud * 10 ** (-rng.uniform(8, 25) / 20)
    level = 10 ** (rng.uniform(-30, -6) / 20)
    heard: NDArray[np.float32] = (level * wave / np.abs(wave).max()).astype(np.float32)
    return heard


def _film(kind: str, count: int, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Yield frames of a shape that moves and turns before a scenery; uint8 [128, 128, 3]."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    paper = rng.uniform(0.15, 0.85) + rng.uniform(-0.12, 0.12, 3)
    hue = HUES.get(kind, 0.0) + rng.uniform(-0.07, 0.07)
    ink = np.array(hsv_to_rgb(hue % 1, rng.uniform(0.45, 1.0), rng.uniform(0.4, 1.0)))
    waves = rng.uniform(-12, 12, (4, 2))
    scenery = sum(np.sin(a * x + b * y + rng.uniform(0, 6)) for a, b in waves) / len(waves)
    ground = paper * (1 + 0.25 * scenery[..., None])
    centre, way = rng.uniform(-0.15, 0.15, 2), rng.uniform(-0.15, 0.15, 2)
    size, turn, spin = rng.uniform(0.17, 0.27), rng.uniform(-0.4, 0.4), rng.uniform(-0.3, 0.3)
    light, grain = rng.uniform(0.55, 1.1), rng.uniform(0.01, 0.05)
    for i in range(count):
        at = i / FPS
        place = centre + way * np.sin(at + np.arange(2))
        u, v = x - place[0], y - place[1]
        angle = turn + spin * at
        u, v = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
        mask = np.clip(_inside(kind, u / size, v / size) * size * SIDE / 2 + 0.5, 0, 1)[..., None]
        frame = light * (ground * (1 - mask) + ink * mask) + rng.normal(0, grain, (SIDE, SIDE, 3))
        yield np.clip(255 * frame, 0, 255).astype(np.uint8)


def _inside(kind: str, u: Image, v: Image) -> Image:
    """Return how far inside a class's shape of unit size each point is; negative outside."""
    inside: Image
    if kind == "yes":  # a ring
        inside = 0.3 - np.abs(np.hypot(u, v) - 0.7)
    elif kind == "no":  # a cross
        inside = np.minimum(1 - np.maximum(np.abs(u), np.abs(v)), 0.28 - np.minimum(np.abs(u), np.abs(v)))
    elif kind == "stop":  # a square
        inside = 0.8 - np.maximum(np.abs(u), np.abs(v))
    else:
        inside = np.full_like(u, -1.0)
    return inside
