"""The examples of a run by their use, and the sets M_T to train for (paper, Sec. 3.1 and 5)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sensemble_runtime.subsets import Subset, parse, subsets
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.choice import check_unlabelled, having, unlabelled
from sensemble_train.data.clips import LOG
from sensemble_train.data.sufficiency import shortages
from sensemble_train.errors import ConfigurationError
from sensemble_train.recipe.config import Config

Chosen = Mapping[str, Sequence[Example]]  # by use


def choose(dataset: Dataset) -> dict[str, Sequence[Example]]:
    """Return the examples of `pretrain`, without labels, `train` (D_T), `calibrate` and `eval`."""
    return {
        "pretrain": without_labels(unlabelled(dataset)),
        "train": dataset.split("train"),
        "calibrate": dataset.selection,
        "eval": dataset.split("eval"),
    }


def check(config: Config, dataset: Dataset, train: Sequence[Example], *, from_scratch: bool) -> list[Subset]:
    """Return the sets M_T of `config` (`all`: every subset); log what the dataset is too small for.

    `from_scratch` says that encoders learn from random weights. Raises ConfigurationError if no labelled
    example has a modality of a set, fewer than two have all of it, or fewer than two unlabelled ones all
    modalities.
    """
    check_unlabelled(dataset)
    for shortage in shortages(dataset, from_scratch=from_scratch):
        LOG.warning("%s", shortage)
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
