"""What a dataset asks for: the inputs that fit its media, its labels, and the small model for them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Literal

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.codecs.tracks import frame_size
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.decoding import duration
from sensemble_sensors.spec import InputSpec

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.frontend import RATE
from sensemble_train.models.model import Description
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.presets import SMALL, small, small_mae

LONGEST = 8.0
"""Seconds of the longest window, as the paper samples (Table 6)."""
LARGE = 48
"""Pixels of the shorter side, above which frames are 64 wide and not 32."""
_LOOKED_AT = 64  # examples from which the window and the frame size are derived

Wanted = Literal["derived", "multi-class", "multi-label"]


def describe(
    dataset: Dataset,
    shape: ModelConfig = SMALL,
    objective: Literal["contrastive", "mae"] = "contrastive",
    task: Wanted = "derived",
) -> Description:
    """Derive a small model for `dataset`: its inputs from the media, its labels from the index.

    Where `shape` leaves it open, the window is the longest clip among the first examples, at most 8 s; frames
    are 32 pixels wide, or 64 where the media is larger than 48.

    Args:
        dataset: the examples.
        shape: the sizes of the model, and of its inputs where they are not derived.
        objective: how it shall be pretrained, on which the kind of its encoders depends.
        task: of the labels; derived, it is `multi-class` if every labelled example has one label.

    Raises:
        ConfigurationError: the dataset lacks a labelled split or has fewer than two modalities or labels, or
            an example has more than one of classes that exclude each other.
    """
    for split in ("train", "eval"):
        if not dataset.split(split):
            raise ConfigurationError(
                f"{dataset.folder}: no example of the split {split!r}; add some to index.jsonl"
            )
    labelled = tuple(example for example in dataset.examples if example.split != "pretrain")
    labels = tuple(sorted({label for example in labelled for label in example.labels}))
    modalities = sorted({m for example in dataset.examples for m in example.modalities})
    if len(modalities) < 2 or len(labels) < 2:
        raise ConfigurationError(
            f"{dataset.folder}: {len(modalities)} modalities and {len(labels)} labels; it takes two of each"
        )
    specs = _specs(dataset.examples, modalities, shape)
    found = _task(labelled, task)
    if objective == "mae":
        return Description(specs, small_mae(specs, shape), labels, found, shape.shared)
    return Description(specs, small(specs, shape), labels, found)


def _task(labelled: Sequence[Example], wanted: Wanted) -> Task:
    several = next((example for example in labelled if len(example.labels) != 1), None)
    if wanted == "multi-class" and several is not None:
        raise ConfigurationError(
            f"--task multi-class: {several.id!r} (index.jsonl:{several.line}) has the labels "
            f"{', '.join(several.labels)}; give each example one, or take multi-label"
        )
    if wanted != "derived":
        return wanted
    return "multi-class" if several is None else "multi-label"


def _specs(
    examples: Sequence[Example], modalities: Sequence[str], shape: ModelConfig
) -> dict[str, InputSpec]:
    window = shape.seconds or _window(examples)
    hop, ttl = window / 2, 2 * window
    specs = {}
    for modality in modalities:
        if modality == "audio":
            specs[modality] = InputSpec("audio", "float32", (1, round(RATE * window)), RATE, window, hop, ttl)
        elif modality == "text":
            specs[modality] = InputSpec("text", "int64", (1, shape.tokens), 0, 0, 0, ttl)
        else:
            seen = [e for e in examples if "video" in e.modalities][:_LOOKED_AT]
            count = (shape.frames or 4) if any(e.video for e in seen) else 1
            side = shape.side or _side(seen)
            specs[modality] = InputSpec(
                "video", "uint8", (1, count, side, side, 3), count / window, window, hop, ttl
            )
    return specs


def _window(examples: Sequence[Example]) -> float:
    timed = islice((e for e in examples if e.video or e.audio), _LOOKED_AT)
    longest = max(_readable(duration, timed), default=1.0)
    return min(LONGEST, max(0.5, math.ceil(2 * longest) / 2))


def _side(seen: Sequence[Example]) -> int:
    smaller = min(_readable(_shorter, seen[:4]), default=LARGE)
    return 32 if smaller <= LARGE else 64


def _readable(measure: Callable[[Example], float], examples: Iterable[Example]) -> Iterator[float]:
    """Measure the examples that can be read; those that cannot are told when they are decoded."""
    for example in examples:
        with suppress(BadDataError):
            yield measure(example)


def _shorter(example: Example) -> int:
    path = example.video or example.image
    assert path is not None  # noqa: S101 - the caller has looked
    return min(frame_size(path))
