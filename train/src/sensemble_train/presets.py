"""Named shapes: what a dataset asks of the sensors, and the encoders that fit it."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Literal

from sensemble_sensors.dataset import Dataset, Example
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media import duration
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.tracks import frame_size

from sensemble_train.encoders import EncoderConfig
from sensemble_train.errors import ConfigurationError
from sensemble_train.frontend import RATE
from sensemble_train.model import Description

LONGEST = 8.0
"""Seconds of the longest window, as the paper samples (Table 6)."""
LARGE = 48
"""Pixels of the shorter side, above which frames are 64 wide and not 32."""
_LOOKED_AT = 64  # examples from which the window and the frame size are derived


Pretraining = Literal["contrastive", "mae"]
"""How a model is pretrained, which its encoders' shape depends on."""
MODALITIES = ("audio", "text", "video")


def describe(dataset: Dataset, objective: Pretraining = "contrastive") -> Description:
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
    task: Literal["multi-class", "multi-label"] = "multi-class" if single else "multi-label"
    if objective == "mae":
        return Description(specs, small_mae(specs), labels, task, shared=1)
    return Description(specs, small(specs), labels, task)


def _specs(examples: Sequence[Example], modalities: Sequence[str]) -> dict[str, InputSpec]:
    timed = islice((e for e in examples if e.video or e.audio), _LOOKED_AT)
    longest = max(_readable(duration, timed), default=1.0)
    window = min(LONGEST, max(0.5, math.ceil(2 * longest) / 2))
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
            smaller = min(_readable(_side, seen[:4]), default=LARGE)
            side = 32 if smaller <= LARGE else 64
            specs[modality] = InputSpec(
                "video", "uint8", (1, count, side, side, 3), count / window, window, hop, ttl
            )
    return specs


def _readable(measure: Callable[[Example], float], examples: Iterable[Example]) -> Iterator[float]:
    """Measure the examples that can be read; those that cannot are told when they are decoded."""
    for example in examples:
        with suppress(BadDataError):
            yield measure(example)


def _side(example: Example) -> int:
    path = example.video or example.image
    assert path is not None  # noqa: S101 - the caller has looked
    return min(frame_size(path))


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


def small_mae(specs: Mapping[str, InputSpec]) -> dict[str, EncoderConfig]:
    """Small encoders to be pretrained by masking, which takes plain patches: convolutions overlap.

    As deep as `small`, and with as many tokens of a film, so that two cores train them in minutes too.
    """
    shape = EncoderConfig(width=128, depth=2, heads=4, embedding=128, project=False)
    configs = {
        "audio": replace(shape, sinusoidal=True),
        "text": replace(shape, sinusoidal=True, vocabulary=512),
    }
    if "video" in specs:
        _, frames, height, _, _ = specs["video"].shape
        configs["video"] = replace(shape, patch=height // 4, tubelet=frames)
    return {m: configs[m] for m in specs}


_B16 = EncoderConfig(width=768, depth=12, heads=12, embedding=768, drop_path=0.1, spread=False)


def vit_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = MODALITIES,
    task: Literal["multi-class", "multi-label"] = "multi-label",
    frames: int = 8,
) -> Description:
    """The paper's contrastive model: ViT-B/16 for all modalities (Tables 5 and 6, App. D).

    Args:
        labels: name of each class.
        modalities: which to encode.
        task: of the labels.
        frames: of a video; 1 for images.
    """
    text = replace(_B16, vocabulary=50262)
    return Description(_paper_specs(modalities, frames), _configs(modalities, text, _B16, _B16), labels, task)


def clip_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = MODALITIES,
    task: Literal["multi-class", "multi-label"] = "multi-label",
    frames: int = 8,
) -> Description:
    """The paper's contrastive model in the shape of CLIP ViT-B/16, for `clip_weights`; as `vit_b16`."""
    image = replace(_B16, embedding=512, activation="quick_gelu", clip=True)
    text = replace(image, width=512, heads=8, vocabulary=49408)
    configs = _configs(modalities, text, image, image)
    return Description(_paper_specs(modalities, frames), configs, labels, task)


def mae_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = MODALITIES,
    task: Literal["multi-class", "multi-label"] = "multi-label",
    frames: int = 8,
) -> Description:
    """The paper's model for MAE: one ViT-B/16 a modality, but the last block is shared; as `vit_b16`."""
    video = replace(_B16, project=False)
    audio = replace(video, sinusoidal=True)
    configs = _configs(modalities, replace(audio, vocabulary=50262), audio, video)
    return Description(_paper_specs(modalities, frames), configs, labels, task, shared=1)


def _configs(
    modalities: Sequence[str], text: EncoderConfig, audio: EncoderConfig, video: EncoderConfig
) -> dict[str, EncoderConfig]:
    configs = {"audio": audio, "text": text, "video": video}
    return {m: configs[m] for m in modalities}


def _paper_specs(modalities: Sequence[str], frames: int) -> dict[str, InputSpec]:
    """Return the inputs of Table 6."""
    samples = round(RATE * LONGEST)
    shape = 1, frames, 224, 224, 3
    specs = {
        "audio": InputSpec("audio", "float32", (1, samples), RATE, LONGEST, 1.0, 2 * LONGEST),
        "text": InputSpec("text", "int64", (1, 60), 0, 0, 0, 2 * LONGEST),
        "video": InputSpec("video", "uint8", shape, frames / LONGEST, LONGEST, 1.0, 2 * LONGEST),
    }
    return {m: specs[m] for m in modalities}
