"""The examples of a run: chosen by their use, and decoded into memory as the encoders' front ends make them.

The uses and the sets M_T are those of Sec. 3.1 and 5 of the paper.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from sensemble_runtime.progress import Progress
from sensemble_runtime.subsets import Subset, parse, subsets
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_sensors.media.leaks import leaks
from sensemble_sensors.media.streams import backgrounds as stream_backgrounds
from sensemble_sensors.media.streams import read_streams
from torch import Tensor

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import LOG, Clips, decode, joined
from sensemble_train.data.embedding_cache import VIEWS, embedded
from sensemble_train.data.trainable import check_trainable, having, shortages, unlabelled
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model import Model
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.recipe.config import Config

ProgressOf = Callable[[str], Progress]
"""Returns the progress of a stage by its name."""
Chosen = Mapping[str, Sequence[Example]]  # by use
_AT_ONCE = 200  # examples that pass the front ends together
_SEVERAL = {"train"}  # of the few labelled windows, frozen encoders see several views
_NAMED = 3  # leaks
SYNTHETIC = 400
"""Backgrounds that are made, beside those of the dataset."""


def read(folder: str, *, skip_bad: bool = False) -> Dataset:
    """Read a dataset; `skip_bad` logs bad lines and leaves them out."""
    dataset = read_dataset(Path(folder), skip_bad=skip_bad)
    for reason in dataset.skipped:
        LOG.warning("skipped %s", reason)
    return dataset


def choose(dataset: Dataset) -> dict[str, Sequence[Example]]:
    """Return the examples of `pretrain`, without labels, `train` (D_T), `calibrate` and `eval`."""
    return {
        "pretrain": without_labels(unlabelled(dataset)),
        "train": dataset.split("train"),
        "calibrate": dataset.selection,
        "eval": dataset.split("eval"),
    }


def check(config: Config, dataset: Dataset, train: Sequence[Example], *, from_scratch: bool) -> list[Subset]:
    """Return the sets M_T of `config` (`all`: every subset); log shortages and leaks of the dataset.

    `from_scratch` says that encoders learn from random weights. Raises ConfigurationError if no labelled
    example has a modality of a set, fewer than two have all of it, or fewer than two unlabelled ones all
    modalities.
    """
    check_trainable(dataset)
    for shortage in shortages(dataset, from_scratch=from_scratch):
        LOG.warning("%s", shortage)
    shared = list(leaks(dataset, read_streams(dataset.folder)))
    for leak in shared[:_NAMED]:
        LOG.warning("%s", leak.text)
    if len(shared) > _NAMED:
        LOG.warning(
            "%d more such files: sensemble data show %s --check", len(shared) - _NAMED, dataset.folder
        )
    there = {m for example in train for m in example.modalities}
    everything = config.train_modalities == ("all",)
    train_sets = subsets(there) if everything else [parse(text) for text in config.train_modalities]
    for each in train_sets:
        if not set(each) <= there:
            raise ConfigurationError(
                f"--train-modalities {subset_name(each)}: the labelled examples of {config.data} have "
                f"{subset_name(there)}; choose from these"
            )
        count = len(having(train, each))
        if count < 2:
            raise ConfigurationError(
                f"--train-modalities {subset_name(each)}: {count} labelled examples of {config.data} have "
                "all of these; add some, or choose fewer modalities"
            )
    return train_sets


def without_labels(examples: Iterable[Example]) -> list[Example]:
    """Return examples without their labels."""
    return [replace(example, labels=()) for example in examples]


def decoded(
    config: Config,
    model: Model,
    use: str,
    examples: Sequence[Example],
    report: ProgressOf,
    *,
    skip_bad: bool = False,
) -> Clips:
    """Return the examples of one use, decoded; `skip_bad` leaves out what cannot be decoded."""
    described, progress = model.description, report(f"decode {use}")
    labels, task = described.labels, described.task
    raw = decode(examples, described.specs, model.tokenizer, labels, task, progress, skip_bad=skip_bad)
    if raw.skipped:
        LOG.warning("skipped %d of %d examples of %s", raw.skipped, len(raw), use)
    return _features(config, model, use, raw, report)


def background_examples(config: Config, model: Model, dataset: Dataset) -> list[Example]:
    """Return what shows none of the classes, if a training uses it.

    They are the backgrounds of the dataset's splits `pretrain` and `train`, and windows of its streams in
    which nothing appears.
    """
    if not (config.pretrain.background or config.finetune.background):
        return []
    heard = stream_backgrounds(read_streams(dataset.folder), model.description.specs, "train")
    return [*dataset.background("pretrain"), *dataset.background("train"), *heard]


def backgrounds(
    config: Config,
    model: Model,
    own: Sequence[Example],
    report: ProgressOf,
    *,
    synthetic: int = SYNTHETIC,
    skip_bad: bool = False,
) -> Clips | None:
    """Return features of the dataset's `own` backgrounds and of some that each kind makes.

    None if no training uses them.
    """
    described = model.description
    if not (config.pretrain.background or config.finetune.background):
        return None
    draw = seeded(config.seed, "backgrounds")
    raw = {
        m: kind_of(spec).backgrounds(spec, described.configs[m], synthetic, draw)
        for m, spec in described.specs.items()
    }
    present = dict.fromkeys(raw, torch.ones(synthetic, dtype=torch.bool))
    made = _features(config, model, "background", Clips(raw, present, None), report)
    if not own:
        return made
    return joined([made, decoded(config, model, "background", own, report, skip_bad=skip_bad)])


def _features(config: Config, model: Model, use: str, raw: Clips, report: ProgressOf) -> Clips:
    """Return raw clips as the encoders see them; a frozen encoder sees labelled ones in several views."""
    views = VIEWS if use in _SEVERAL else 1
    features: dict[str, Tensor] = {}
    for m, windows in raw.inputs.items():
        encoder = model.encoders[m]
        if isinstance(encoder, Pretrained) and not encoder.learns:
            present, progress = raw.present[m], report(f"embed {m} of {use}")
            made = embedded(encoder, windows[present], views, config.augment, model.tokenizer, progress)
            features[m] = made.new_zeros(len(raw), *made.shape[1:]).index_put((present,), made)
        else:
            parts = [model.front({m: some})[m] for some in windows.split(_AT_ONCE)]
            features[m] = torch.cat(parts)
    return Clips(features, raw.present, raw.targets)
