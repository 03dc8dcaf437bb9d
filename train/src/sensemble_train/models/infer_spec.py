"""The model for a dataset: inputs, from the media; labels and task, from the index; small encoders."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Literal

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.kinds.excerpt import LONGEST
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.decoding import duration
from sensemble_sensors.spec import InputSpec

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.kinds.kind import measured
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model import Description
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained import sources

_SAMPLED = 64  # examples that the window is inferred from

WantedTask = Literal["derived", "multi-class", "multi-label"]
SMALL = ModelConfig()


def describe(
    dataset: Dataset,
    shape: ModelConfig = SMALL,
    task: WantedTask = "derived",
    encoders: Mapping[str, str] | None = None,
    unfrozen: Mapping[str, int] | None = None,
) -> Description:
    """Describe the small model for `dataset`; the media give the sizes that `shape` leaves open."""
    labels, derived = labels_and_task(dataset, task)
    specs, configs = inputs(dataset, shape, encoders or {}, unfrozen or {})
    return Description(specs, configs, labels, derived)


def labels_and_task(dataset: Dataset, wanted: WantedTask) -> tuple[tuple[str, ...], Task]:
    """Return the classes and the task."""
    labelled = tuple(example for example in dataset.known if example.split != "pretrain")
    return dataset.labels, task_of(labelled, wanted)


def installed(dataset: Dataset) -> dict[str, str]:
    """Return modality -> name of the installed pretrained encoder that reads it, where there is one."""
    specs, _ = inputs(dataset, SMALL, {})
    return {m: name for m, spec in specs.items() if (name := sources.installed(spec))}


def inputs(
    dataset: Dataset,
    shape: ModelConfig,
    encoders: Mapping[str, str],
    unfrozen: Mapping[str, int] = MappingProxyType({}),
) -> tuple[dict[str, InputSpec], dict[str, EncoderConfig]]:
    """Return the input and the shape of the encoder of each modality of a dataset, in a small model.

    The window is the longest clip among the first examples, at most 8 s; a kind fits the other sizes that
    `shape` leaves open. `encoders` has the pretrained encoders (`pretrained.sources`), and `unfrozen` the
    number of their last blocks that learn. Raises ConfigurationError where one names an unknown modality, or
    one without a source.
    """
    if unknown := set(encoders) - set(dataset.modalities):
        raise ConfigurationError(
            f"--encoder {min(unknown)}={encoders[min(unknown)]}: {dataset.folder} has "
            f"{', '.join(dataset.modalities)}"
        )
    if unread := set(unfrozen) - set(encoders):
        raise ConfigurationError(
            f"--unfreeze {min(unread)}: its encoder learns from scratch; name a pretrained one by --encoder"
        )
    specs, configs = dict[str, InputSpec](), dict[str, EncoderConfig]()
    shape = replace(shape, seconds=shape.seconds or _window(dataset.known))
    for m in dataset.modalities:
        modality, source = dataset.modality(m), encoders.get(m, "")
        kind = kind_of(modality)
        every = [example for example in dataset.known if m in example.modalities]
        own = kind.fit(shape, modality, every, source)
        specs[m] = replace(kind.spec(modality, own, hop=shape.seconds / 2), device=modality.device)
        config = replace(small({m: specs[m]}, own)[m], source=source, unfrozen=unfrozen.get(m, 0))
        configs[m] = kind.fit_scale(config, specs[m], every)
    return specs, configs


def task_of(labelled: Sequence[Example], wanted: WantedTask) -> Task:
    """Return the task; derived, it is `multi-class` if every example has one label."""
    several = next((example for example in labelled if len(example.labels) != 1), None)
    if wanted == "multi-class" and several is not None:
        raise ConfigurationError(
            f"--task multi-class: {several.id!r} (index.jsonl:{several.line}) has the labels "
            f"{', '.join(several.labels)}; give each example one, or take multi-label"
        )
    if wanted != "derived":
        return wanted
    return "multi-class" if several is None else "multi-label"


def _window(examples: Sequence[Example]) -> float:
    timed = islice((e for e in examples if e.files), _SAMPLED)
    longest = max(measured(duration, timed), default=1.0)
    return min(LONGEST, max(0.5, math.ceil(2 * longest) / 2))


def small(specs: Mapping[str, InputSpec], shape: ModelConfig = SMALL) -> dict[str, EncoderConfig]:
    """Return the configuration of each encoder, by modality."""
    base = replace(plain(shape), activation="relu", stem=(32, 64), patch=32, relative=True)
    return by_kind(base, specs, shape)


def plain(shape: ModelConfig) -> EncoderConfig:
    """Return a vision transformer of these sizes."""
    return EncoderConfig(shape.width, shape.depth, shape.heads, shape.embedding, drop_path=shape.drop_path)


def by_kind(
    base: EncoderConfig, inputs: Mapping[str, InputSpec], shape: ModelConfig
) -> dict[str, EncoderConfig]:
    """Return `base` as the kind of each modality changes it."""
    return {m: kind_of(spec).encoder_config(base, spec, shape) for m, spec in inputs.items()}
