"""Named shapes: what a dataset asks of the sensors, and the encoders that fit it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

from sensemble_sensors.dataset import Dataset, Example
from sensemble_sensors.media import duration
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.tracks import frame_size

from sensemble_train.encoders import EncoderConfig
from sensemble_train.errors import ConfigurationError
from sensemble_train.frontend import RATE
from sensemble_train.model import Description

LONGEST = 8.0
"""Seconds of the longest window, as the paper samples (Table 6)."""
_LOOKED_AT = 64  # examples from which the window and the frame size are derived


def describe(dataset: Dataset) -> Description:
    """Derive a small model for `dataset`: its inputs from the media, its labels from the index.

    The window is the longest clip among the first examples, at most 8 s; frames are 32 pixels wide, or 64
    where the media is larger than 48. The task is `multi-class` if every labelled example has one label.

    Raises:
        ConfigurationError: the dataset lacks a labelled split or has fewer than two modalities or labels.
    """
    for split in ("train", "eval"):
        if not dataset.split(split):
            raise ConfigurationError(
                f"{dataset.folder}: no example of the split {split!r}; add some to index.jsonl"
            )
    labelled = (*dataset.split("train"), *dataset.split("eval"))
    labels = tuple(sorted({label for example in labelled for label in example.labels}))
    modalities = sorted({m for example in dataset.examples for m in example.modalities})
    if len(modalities) < 2 or len(labels) < 2:
        raise ConfigurationError(
            f"{dataset.folder}: {len(modalities)} modalities and {len(labels)} labels; it takes two of each"
        )
    specs = _specs(dataset.examples, modalities)
    single = all(len(example.labels) == 1 for example in labelled)
    return Description(specs, small(specs), labels, "multi-class" if single else "multi-label")


def _specs(examples: Sequence[Example], modalities: Sequence[str]) -> dict[str, InputSpec]:
    timed = islice((e for e in examples if e.video or e.audio), _LOOKED_AT)
    window = min(LONGEST, max(0.5, math.ceil(2 * max((duration(e) for e in timed), default=1.0)) / 2))
    hop, ttl = window / 2, 2 * window
    specs = {}
    for modality in modalities:
        if modality == "audio":
            specs[modality] = InputSpec("audio", "float32", (1, round(RATE * window)), RATE, window, hop, ttl)
        elif modality == "text":
            specs[modality] = InputSpec("text", "int64", (1, 16), 0, 0, 0, ttl)
        else:
            seen = [e for e in examples if "video" in e.modalities][:_LOOKED_AT]
            count = 4 if any(e.video for e in seen) else 1
            smaller = min(min(frame_size(e.video or e.image)) for e in seen[:4])  # type: ignore[arg-type]
            side = 32 if smaller <= 48 else 64
            specs[modality] = InputSpec(
                "video", "uint8", (1, count, side, side, 3), count / window, window, hop, ttl
            )
    return specs


def small(specs: Mapping[str, InputSpec]) -> dict[str, EncoderConfig]:
    """Encoders of about half a million parameters with convolutional stems, which learn from few clips."""
    shape = EncoderConfig(width=128, depth=2, heads=4, embedding=128, activation="relu")
    configs = {
        "audio": replace(shape, stem=(32, 64), patch=32),
        "text": replace(shape, vocabulary=512),
    }
    if "video" in specs:
        _, frames, height, _, _ = specs["video"].shape
        configs["video"] = replace(shape, stem=(32, 64), patch=height // 4, tubelet=frames)
    return {m: configs[m] for m in specs}


def vit_b16(labels: tuple[str, ...]) -> Description:
    """The paper's encoders and inputs: ViT-B/16 for all three modalities (Tables 5 and 6, App. D)."""
    shape = EncoderConfig(width=768, depth=12, heads=12, embedding=768, drop_path=0.1)
    samples = round(RATE * LONGEST)
    specs = {
        "audio": InputSpec("audio", "float32", (1, samples), RATE, LONGEST, 1.0, 2 * LONGEST),
        "text": InputSpec("text", "int64", (1, 60), 0, 0, 0, 2 * LONGEST),
        "video": InputSpec("video", "uint8", (1, 8, 224, 224, 3), 1.0, LONGEST, 1.0, 2 * LONGEST),
    }
    configs = {m: replace(shape, vocabulary=50262 if m == "text" else 0) for m in specs}
    return Description(specs, configs, labels, "multi-label")
