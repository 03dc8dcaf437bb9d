"""The examples of a run by their use: pretraining, D_T, D_SD, selection, evaluation (paper, Sec. 3.1 and 5).

The index alone decides, before anything is decoded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset

from sensemble_train.data.batching import seeded
from sensemble_train.data.choice import having, unlabelled
from sensemble_train.data.clips import LOG
from sensemble_train.errors import ConfigurationError
from sensemble_train.recipe.config import Config


def read(folder: str, config: Config) -> Dataset:
    """Read a dataset, reduced to the modalities that `config` names (D|_m of Eq. 1).

    Raises:
        BadDataError: the dataset does not follow the data format.
    """
    dataset = read_dataset(Path(folder), skip_bad=config.skip_bad)
    for reason in dataset.skipped:
        LOG.warning("skipped %s", reason)
    if config.modalities == ("all",):
        return dataset
    kept = (example.only(config.modalities) for example in dataset.examples)
    return replace(dataset, examples=tuple(example for example in kept if example.modalities))


def labelled(dataset: Dataset) -> tuple[Example, ...]:
    """Return all examples with labels to train on, also those of pretraining (Sec. 6.2)."""
    return tuple(e for e in (*dataset.split("train"), *dataset.split("pretrain")) if e.labels)


def choose(config: Config, dataset: Dataset) -> dict[str, Sequence[Example]]:
    """Return the examples by their use.

    Returns:
        `pretrain`, `train` (D_T), `calibrate` (for selection) and `eval`; `everything` with labels, if the
        configuration asks for it; and `distill` (D_SD), if it is not drawn from pretraining's. Those of
        `pretrain` and `distill` have no labels.

    Raises:
        ConfigurationError: fewer than two examples of D_SD have all modalities.
        BadDataError: the dataset of D_SD does not follow the data format.
    """
    train = dataset.split("train")
    chosen: dict[str, Sequence[Example]] = {
        "pretrain": _without_labels(unlabelled(dataset)),
        "train": train,
        "calibrate": dataset.selection,
        "eval": dataset.split("eval"),
    }
    if config.everything:
        chosen["everything"] = labelled(dataset)
    every = dataset.modalities
    if config.distill_data:
        chosen["distill"] = _without_labels(_of_another_dataset(config, every))
    elif config.held_out:
        order = torch.randperm(len(train), generator=seeded(config.seed, "held out")).tolist()
        count = round(config.held_out * len(train))
        chosen["train"] = [train[row] for row in order[count:]]
        chosen["distill"] = _without_labels([train[row] for row in order[:count]])
        complete = len(having(chosen["distill"], every))
        if complete < 2:
            raise ConfigurationError(
                f"--held-out {config.held_out:g}: {complete} of the {count} examples held out have all of "
                f"{subset_name(every)}; distillation takes two, hold out more or add some"
            )
    return chosen


def _of_another_dataset(config: Config, every: Sequence[str]) -> list[Example]:
    """Draw D_SD from the unlabelled examples of `distill_data` that have all modalities (Sec. 5)."""
    complete = having(unlabelled(read(config.distill_data, config)), every)
    if len(complete) < 2:
        raise ConfigurationError(
            f"--distill-data {config.distill_data}: {len(complete)} unlabelled examples have all of "
            f"{subset_name(every)}; distillation takes two, choose another"
        )
    order = torch.randperm(len(complete), generator=seeded(config.seed, "distill"))
    return [complete[row] for row in order[: config.distill].tolist()]


def _without_labels(examples: Iterable[Example]) -> list[Example]:
    return [replace(example, labels=()) for example in examples]
