"""Shortages of a dataset, in words, before anything is trained; without torch."""

from collections import Counter
from collections.abc import Iterator

from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.subsets import WIDE
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset

from sensemble_train.data.splits import having, unlabelled

LEAST_UNLABELLED = 100
"""Unlabelled examples with all modalities below which encoders are not learnt from random weights.

Contrastive learning then sees fewer negatives in all than one batch of `digits` has.
"""
LEAST_OF_A_LABEL = 10
"""Labelled examples of a class below which it is hardly learnt."""


def shortages(dataset: Dataset, *, from_scratch: bool = True) -> Iterator[str]:
    """Yield a sentence for each use that a dataset is too small for: pretraining, labels, evaluation.

    Args:
        dataset: the dataset.
        from_scratch: whether its encoders begin with random weights.
    """
    every = dataset.modalities
    complete = len(having(unlabelled(dataset), every))
    if from_scratch and complete < LEAST_UNLABELLED:
        has = "example has" if complete == 1 else "examples have"
        yield (
            f"{complete} unlabelled {has} all of {subset_name(every)}: too few to learn encoders from. "
            f"Below {LEAST_UNLABELLED}, sensors often stay at chance; record more into the split pretrain"
        )
    train = dataset.split("train")
    counts = Counter(label for example in train for label in example.labels)
    few = sorted((count, label) for label, count in counts.items() if count < LEAST_OF_A_LABEL)
    if few:
        rarest = ", ".join(f"{label} {count}" for count, label in few[:5])
        rest = f" and {len(few) - 5} more" if len(few) > 5 else ""
        yield (
            f"{len(few)} of {len(counts)} labels have fewer than {LEAST_OF_A_LABEL} examples in train "
            f"({rarest}{rest}): too few to learn them"
        )
    shown = len(dataset.split("eval"))
    if 0 < shown < enough():
        low, high = wilson(shown / 2, shown)
        yield (
            f"eval has {shown} examples: too few to judge by. An accuracy of 50 % will be known "
            f"as {100 * low:.0f} to {100 * high:.0f} %; {enough()} examples make it {100 * WIDE:.0f} points"
        )


def enough() -> int:
    """Return the least number of independent examples whose accuracy has no interval wider than `WIDE`."""
    n = 1
    while True:
        low, high = wilson(n / 2, n)
        if high - low <= WIDE:
            return n
        n += 1
