"""Choice of the examples to pretrain on; without torch, which takes long to load."""

from collections import Counter
from collections.abc import Iterable, Sequence

from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.errors import ConfigurationError


def unlabelled(dataset: Dataset) -> tuple[Example, ...]:
    """Return the split `pretrain`, and `train` too where that is larger; no backgrounds."""
    pretrain, train = dataset.split("pretrain"), dataset.split("train")
    return pretrain if len(pretrain) >= len(train) else (*pretrain, *train)


def most_labelled(dataset: Dataset) -> tuple[str, ...]:
    """Return the set of modalities that most labelled examples of `train` have; empty without any."""
    sets = Counter(example.modalities for example in dataset.split("train"))
    return max(sets, key=lambda each: (sets[each], len(each)), default=())


def having(examples: Sequence[Example], modalities: Iterable[str]) -> list[Example]:
    """Return the examples that have all of `modalities`."""
    wanted = set(modalities)
    return [example for example in examples if wanted <= set(example.modalities)]


def check_unlabelled(dataset: Dataset) -> None:
    """Raise ConfigurationError if fewer than two examples to pretrain on have all modalities."""
    every = dataset.modalities
    if len(having(unlabelled(dataset), every)) < 2:
        raise ConfigurationError(
            f"{dataset.folder}: pretraining takes two examples that have all of "
            f"{subset_name(every)}; add some to the split 'pretrain'"
        )
