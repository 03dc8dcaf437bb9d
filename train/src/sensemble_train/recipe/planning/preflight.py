"""Checks that a dataset fits a configuration, made before anything is decoded or trained."""

from collections.abc import Sequence

from sensemble_runtime.subsets import name as subset_name
from sensemble_runtime.subsets import parse, subsets
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.choice import check_unlabelled, having
from sensemble_train.data.clips import LOG
from sensemble_train.data.sufficiency import shortages
from sensemble_train.errors import ConfigurationError
from sensemble_train.recipe.config import RANDOM, Config
from sensemble_train.recipe.examples import labelled


def check(config: Config, dataset: Dataset, train: Sequence[Example]) -> list[tuple[str, ...]]:
    """Return the sets M_T that `config` asks for; `all` stands for every subset.

    Warnings are logged of what the dataset is too small for.

    Raises:
        ConfigurationError: untrained encoders would be probed; `modalities` names one that the data lacks; a
            set M_T has a modality that no labelled example has; fewer than two labelled examples have all of
            a set, or fewer than two unlabelled ones all modalities; or labels are unknown.
    """
    _check_initialize(config)
    lacking = set(config.modalities) - {"all", *dataset.modalities}
    if lacking:
        raise ConfigurationError(
            f"--modalities {' '.join(config.modalities)}: no example of {config.data} has "
            f"{subset_name(lacking)}"
        )
    if config.everything:
        _check_labels(dataset)
    check_unlabelled(dataset)
    for shortage in shortages(dataset, from_scratch=config.from_scratch):
        LOG.warning("%s", shortage)
    there = {m for example in train for m in example.modalities}
    everything = config.train_modalities == ("all",)
    train_sets = subsets(there) if everything else [parse(text) for text in config.train_modalities]
    for each in train_sets:
        if not set(each) <= there:
            raise ConfigurationError(
                f"--train-modalities {subset_name(each)}: the labelled examples of {config.data} have "
                f"{subset_name(there)}{_restriction(config)}; choose from these"
            )
        count = len(having(train, each))
        if count < 2:
            less = " hold out less," if config.held_out else ""
            raise ConfigurationError(
                f"--train-modalities {subset_name(each)}: {count} labelled examples of {config.data} have "
                f"all of these; add some,{less} or choose fewer modalities"
            )
    return train_sets


def _restriction(config: Config) -> str:
    return "" if config.modalities == ("all",) else f" with --modalities {' '.join(config.modalities)}"


def _check_labels(dataset: Dataset) -> None:
    known = {label for example in dataset.split("train") for label in example.labels}
    unknown = next((e for e in labelled(dataset) if not known.issuperset(e.labels)), None)
    if unknown is not None:
        raise ConfigurationError(
            f"--everything: {unknown.id!r} (index.jsonl:{unknown.line}) of the split 'pretrain' has the "
            f"labels {', '.join(unknown.labels)}; only labels of the split 'train' can be trained"
        )


def _check_initialize(config: Config) -> None:
    """Refuse to probe and finetune untrained encoders, unless the configuration asks for it."""
    nothing = not (config.pretrain.steps or config.pretrain.epochs)
    if config.initialize or not (nothing or config.model.name == "clip_b16"):
        return
    why = "this run pretrains nothing" if nothing else "clip_b16 starts from CLIP's weights (App. D)"
    what = "OpenAI's ViT-B-16.pt or the pretrained/ of a run"
    if config.model.name != "clip_b16":
        what = "the pretrained/ of a run"
    raise ConfigurationError(f"--initialize: {why}; give {what}, or `{RANDOM}` to train from scratch")
