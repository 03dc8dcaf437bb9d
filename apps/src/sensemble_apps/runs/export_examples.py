"""Which examples of a dataset an export takes: to calibrate on, and to be measured on."""

from collections.abc import Sequence

from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_apps.errors import InputError

EVALUATED = "eval"
"""The split that training and export report on, and choose nothing by."""
CALIBRATION = 50
"""Examples, at most, that int8 takes its ranges from: each is run by every scheme, and more change little."""
_HELD_OUT = 1000  # examples that an export is measured on
_LEAST = 64  # examples with each modality among these, if there are so many


def calibration_examples(dataset: Dataset, modality: str) -> list[Example]:
    """Return labelled and unlabelled examples with `modality`, which some runs have in pretraining alone.

    Raises:
        InputError: there is none.
    """
    searched = (*dataset.split("train"), *dataset.split("pretrain"))
    found = [example for example in searched if modality in example.modalities]
    if not found:
        raise InputError(
            f"{dataset.folder}: no example of the splits train and pretrain has {modality}, which int8 takes "
            f"its ranges from; add some, or choose --scheme {modality}=fp32"
        )
    return spread(found, CALIBRATION)


def held_out_examples(dataset: Dataset, modalities: Sequence[str]) -> list[Example]:
    """Return examples of the split eval, in order; more where one of `modalities` would be met too rarely.

    Raises:
        InputError: no example has one of them.
    """
    return _measured(dataset, dataset.split(EVALUATED), EVALUATED, modalities)


def searched_examples(dataset: Dataset, modalities: Sequence[str]) -> list[Example]:
    """Return examples of the split calibrate, or of train where there is none, to choose schemes by.

    Raises:
        InputError: no example has one of `modalities`.
    """
    split = "calibrate" if dataset.split("calibrate") else "train"
    return _measured(dataset, dataset.selection, split, modalities)


def _measured(
    dataset: Dataset, examples: Sequence[Example], split: str, modalities: Sequence[str]
) -> list[Example]:
    taken = {example.id for example in spread(examples, _HELD_OUT)}
    for modality in modalities:
        having = [example for example in examples if modality in example.modalities]
        if not having:
            raise InputError(
                f"{dataset.folder}: no example of the split {split} has {modality}, on which its encoder is "
                "measured; add some"
            )
        if sum(example.id in taken for example in having) < _LEAST:
            taken |= {example.id for example in spread(having, _LEAST)}
    return [example for example in examples if example.id in taken]


def spread(examples: Sequence[Example], most: int) -> list[Example]:
    """Return at most `most` of `examples`, at even distances: a split may be sorted, by class or by day."""
    count = min(most, len(examples))
    return [examples[index * len(examples) // count] for index in range(count)]
