"""A contact sheet: some examples of a dataset as an encoder gets them, on one page of its own."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.subsets import name
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.decoding import clip, duration
from sensemble_sensors.media.splits import SPLITS
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import InputSpec
from sensemble_train.models.frontend import RATE, LogMel

from sensemble_apps.pages import page_template

EXAMPLES = 12
"""How many of each split are drawn, evenly spread over the index."""
_FRAMES, _SIDE, _LONGEST = 4, 112, 8.0


@dataclass(frozen=True, slots=True)
class Card:
    """One example on the page.

    Attributes:
        example: what is drawn.
        modalities: their names.
        seconds: how long it is; None for a picture or a text.
        frames: its pictures side by side, as a data URL.
        wave: its waveform above its log-mel energies, as a data URL.
        bad: why it cannot be decoded.
    """

    example: Example
    modalities: str
    seconds: float | None = None
    frames: str | None = None
    wave: str | None = None
    bad: str | None = None


def render(dataset: Dataset, made: datetime) -> str:
    """Return the page as HTML that needs nothing from outside itself."""
    splits = {split: list(_cards(dataset.split(split))) for split in SPLITS if dataset.split(split)}
    counts = {split: len(dataset.split(split)) for split in splits}
    return page_template.template("sheet.html.j2").render(
        dataset=dataset, splits=splits, counts=counts, made=made
    )


def _cards(examples: Sequence[Example]) -> Iterator[Card]:
    places = np.linspace(0, len(examples) - 1, min(EXAMPLES, len(examples))).round().astype(int)
    for place in places:
        example = examples[place]
        try:
            yield _card(example)
        except BadDataError as error:
            yield Card(example, name(example.modalities), bad=f"line {example.line}: {error}")


def _card(example: Example) -> Card:
    seconds = duration(example)
    window = min(max(seconds, 0.1), _LONGEST)
    samples = round(RATE * window)
    specs = {
        "audio": InputSpec("audio", "float32", (1, samples), RATE, window, window, window),
        "video": InputSpec(
            "video", "uint8", (1, _FRAMES, _SIDE, _SIDE, 3), _FRAMES / window, window, window, window
        ),
    }
    media = clip(example, specs)
    frames = wave = None
    if "video" in media:
        shown = np.asarray(media["video"][0], np.uint8)
        frames = _url(np.concatenate(shown[: 1 if example.image else _FRAMES], axis=1), ".jpg")
    if "audio" in media:
        wave = _url(_sound(media["audio"][0]), ".png")
    return Card(example, name(example.modalities), seconds or None, frames, wave)


def _sound(wave: Media) -> NDArray[np.uint8]:
    """Draw a waveform, 40 pixels high, above the log-mel energies, 64 high: uint8 [104, 4 * side, 3], RGB."""
    width, height = _FRAMES * _SIDE, 40
    picture = np.full((height, width, 3), 255, np.uint8)
    for x, piece in enumerate(np.array_split(np.asarray(wave), width)):
        low, high = ((1 - np.clip(level, -1, 1)) / 2 * (height - 1) for level in (piece.max(), piece.min()))
        picture[int(low) : int(high) + 1, x] = (29, 95, 138)
    with torch.no_grad():
        energies = LogMel()(torch.from_numpy(np.asarray(wave, np.float32))[None])[0].numpy()
    low, high = np.percentile(energies, (2, 99.5))
    levels = np.clip((energies - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8).T[::-1]
    mel = cv2.applyColorMap(cv2.resize(np.ascontiguousarray(levels), (width, 64)), cv2.COLORMAP_MAGMA)
    return np.concatenate([picture, mel[..., ::-1]])


def _url(image: NDArray[np.uint8], kind: str) -> str:
    _, content = cv2.imencode(kind, np.ascontiguousarray(image[..., ::-1]))
    media = {".jpg": "image/jpeg", ".png": "image/png"}[kind]
    return f"data:{media};base64,{b64encode(content.tobytes()).decode()}"
