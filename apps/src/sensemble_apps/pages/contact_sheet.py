"""The contact sheet of a dataset: some examples as an encoder gets them, on one page."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.decoding import clip, duration
from sensemble_sensors.media.splits import SPLITS
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import DType, InputSpec
from sensemble_train.models.frontend import RATE, LogMel

from sensemble_apps.pages import page_template

EXAMPLES = 12
"""Examples of each split that are drawn, at even distances in the index."""
_FRAMES, _SIDE = 4, 112  # frames of a video, and their height and width in pixels
_LONGEST = 8.0  # seconds


@dataclass(frozen=True, slots=True)
class Card:
    """An example on the page."""

    example: Example
    modalities: str
    seconds: float | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    bad: str | None = None


def render(dataset: Dataset, made: datetime) -> str:
    """Return the page as HTML that loads nothing."""
    listed = {split: dataset.split(split) for split in SPLITS}
    listed |= {f"{split}, background": dataset.background(split) for split in SPLITS}
    splits = {title: list(_cards(examples)) for title, examples in listed.items() if examples}
    counts = {title: len(listed[title]) for title in splits}
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
            yield Card(example, subset_name(example.modalities), bad=f"line {example.line}: {error}")


def _card(example: Example) -> Card:
    seconds = duration(example)
    specs = _specs(example, min(max(seconds, 0.1), _LONGEST))
    pictures: dict[str, str] = {}
    for modality, window in sorted(clip(example, specs).items(), key=lambda one: specs[one[0]].kind):
        title, draw = _DRAWINGS[specs[modality].kind]
        pictures[f"{title} {modality.partition('.')[2]}".rstrip()] = draw(window[0])
    return Card(example, subset_name(example.modalities), seconds or None, pictures)


def _specs(example: Example, window: float) -> dict[str, InputSpec]:
    forms: dict[str, tuple[DType, tuple[int, ...], float]] = {
        "waveform": ("float32", (1, round(RATE * window)), RATE),
        "frames": ("uint8", (1, _FRAMES, _SIDE, _SIDE, 3), _FRAMES / window),
    }
    return {
        modality: InputSpec(modality, *forms[kind], window, window, window, kind)
        for modality, kind in example.kinds.items()
        if kind in forms
    }


def _frames(window: Media) -> str:
    frames = np.asarray(window, np.uint8)
    if (frames == frames[0]).all():
        frames = frames[:1]
    return _url(np.concatenate(frames, axis=1), ".jpg")


def _sound(window: Media) -> str:
    width, height = _FRAMES * _SIDE, 40
    picture = np.full((height, width, 3), 255, np.uint8)
    for x, piece in enumerate(np.array_split(np.asarray(window), width)):
        low, high = ((1 - np.clip(level, -1, 1)) / 2 * (height - 1) for level in (piece.max(), piece.min()))
        picture[int(low) : int(high) + 1, x] = (29, 95, 138)
    with torch.no_grad():
        energies = LogMel()(torch.from_numpy(np.asarray(window, np.float32))[None])[0].numpy()
    low, high = np.percentile(energies, (2, 99.5))
    levels = np.clip((energies - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8).T[::-1]
    mel = cv2.applyColorMap(cv2.resize(np.ascontiguousarray(levels), (width, 64)), cv2.COLORMAP_MAGMA)
    return _url(np.concatenate([picture, mel[..., ::-1]]), ".png")


_DRAWINGS: dict[str, tuple[str, Callable[[Media], str]]] = {
    "frames": ("Frames", _frames),
    "waveform": ("Sound", _sound),
}
"""The title and the drawing of each kind that is no text."""


def _url(image: NDArray[np.uint8], kind: str) -> str:
    _, content = cv2.imencode(kind, np.ascontiguousarray(image[..., ::-1]))
    media = {".jpg": "image/jpeg", ".png": "image/png"}[kind]
    return f"data:{media};base64,{b64encode(content.tobytes()).decode()}"
