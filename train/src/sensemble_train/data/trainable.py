"""Choice of the examples to train on, and what a dataset is too small for, without torch."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.scores import WIDE
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.errors import counted
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.splits import PROMISED, whole

from sensemble_train.errors import ConfigurationError

LEAST_UNLABELLED = 100  # to learn from scratch; a batch of `digits` has as many negatives
LEAST_OF_A_LABEL = 10  # examples of a class below which it is hardly learnt


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


def refusals(dataset: Dataset) -> Iterator[str]:
    """Yield a sentence for each reason not to train on a dataset."""
    for split in ("train", "eval"):
        if not dataset.split(split):
            yield f"no example of the split {split!r}; add some, or run `sensemble data split`"
    if len(dataset.labels) < 2:
        yield f"{counted(len(dataset.labels), 'label')}; training takes two: add examples of another class"
    every = dataset.modalities
    if len(having(unlabelled(dataset), every)) < 2:
        yield (
            f"pretraining takes two examples that have all of {subset_name(every)}; add some to the split "
            "'pretrain'"
        )


def check_trainable(dataset: Dataset) -> None:
    """Raise ConfigurationError if no model can be trained on a dataset."""
    if reason := next(refusals(dataset), ""):
        raise ConfigurationError(f"{dataset.folder}: {reason}")


def shortages(dataset: Dataset, *, from_scratch: bool = True) -> Iterator[str]:
    """Yield a sentence for each use that a dataset is too small for, and how much more would do."""
    every = dataset.modalities
    complete = having(unlabelled(dataset), every)
    if from_scratch and len(complete) < LEAST_UNLABELLED:
        clips = "clip has" if len(complete) == 1 else "clips have"
        more = _amount(LEAST_UNLABELLED - len(complete), dataset)
        yield (
            f"{len(complete)} {clips} all of {subset_name(every)}; {LEAST_UNLABELLED} would do: record "
            f"{more} of anything, or go without: then sensors learn from labels alone, and those without "
            "labels often stay at chance"
        )
    left = sum(example.split == "pretrain" for example in dataset.known) - len(dataset.split("pretrain"))
    if left:
        yield (
            f"{counted(left, 'unlabelled example')} of a group or a media file of calibrate or eval "
            f"{'is' if left == 1 else 'are'} not trained on"
        )
    train = dataset.split("train")
    counts = Counter(dict.fromkeys(dataset.labels, 0))
    counts.update(label for example in train for label in example.labels)
    few = sorted((count, label) for label, count in counts.items() if count < LEAST_OF_A_LABEL)
    if few:
        rarest = ", ".join(
            f"{count} of {label} (record {_takes(LEAST_OF_A_LABEL - count, label, train)})"
            for count, label in few[:5]
        )
        rest = f" and {len(few) - 5} more labels" if len(few) > 5 else ""
        yield (
            f"{len(few)} of {len(counts)} labels have too few examples in train to be learnt: "
            f"{rarest}{rest}; each needs {LEAST_OF_A_LABEL} at least"
        )
    yield from _held_out(dataset)
    shown = len(dataset.split("eval"))
    if 0 < shown < enough():
        low, high = wilson(shown / 2, shown)
        yield (
            f"eval has {shown} examples: too few to judge by. An accuracy of 50 % will be known "
            f"as {100 * low:.0f} to {100 * high:.0f} %; {enough() - shown} more examples make it "
            f"{100 * WIDE:.0f} points"
        )


def _held_out(dataset: Dataset) -> Iterator[str]:
    """Yield a sentence if `calibrate` is missing, or has too few people for a promise."""
    train, held = dataset.split("train"), dataset.split("calibrate")
    taught, people = (len({e.person for e in each} - {None}) for each in (train, held))
    if train and not held:
        yield (
            f"there is no calibrate, and train, {counted(len(train), 'example')} in "
            f"{counted(len(whole(train)), 'group')} (people, recordings), is too small to make it: models "
            "are chosen on train itself, and neither answers nor the teacher are calibrated; record "
            f"{PROMISED} groups as calibrate, 2 at least"
        )
    elif held and people < PROMISED:
        more = f"{PROMISED - people} more as calibrate"
        if dataset.drawn:
            more = f"{PROMISED} as calibrate, or {3 * PROMISED - taught - people} more as train"
        yield (
            f"calibrate has {people} of the {PROMISED} people, named by `group`, that a promise on sure and "
            f"wrong answers takes: record {more}"
        )


def _amount(count: int, dataset: Dataset) -> str:
    """Write how much `count` examples are: `8 minutes`, or `98 clips` where their lengths are unknown."""
    lengths = [example.end - (example.start or 0.0) for example in dataset.known if example.end is not None]
    if not lengths:
        return counted(count, "clip")
    seconds = math.ceil(count * median(lengths))
    return counted(seconds, "second") if seconds < 60 else counted(math.ceil(seconds / 60), "minute")


def _takes(count: int, label: str, train: Sequence[Example]) -> str:
    """Write how much `count` examples of a label are: `2 takes`, or `5 examples` without groups."""
    sizes = Counter(example.group for example in train if label in example.labels and example.group)
    if not sizes:
        return counted(count, "example")
    return counted(math.ceil(count / median(sizes.values())), "take")


def enough() -> int:
    """Return the least number of independent examples whose accuracy has no interval wider than `WIDE`."""
    n = 1
    while True:
        low, high = wilson(n / 2, n)
        if high - low <= WIDE:
            return n
        n += 1
