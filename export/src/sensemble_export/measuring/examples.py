"""The choice of examples: for the ranges of int8, for calibration, and to measure an export on."""

from collections.abc import Sequence
from typing import TypeVar

from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_export.errors import CalibrationMissingError

EVALUATED = "eval"  # the split for reporting; training and export choose nothing by it
CALIBRATION = 50  # the most examples for the ranges of int8; every scheme runs all, and more change little
FITTED = 4000  # the most examples of calibrate that temperatures, powers and thresholds are fitted on
_HELD_OUT = 1000  # examples that an export is measured on
_LEAST = 64  # of these, examples with each modality, if the split has so many

Item = TypeVar("Item")


def calibration_examples(dataset: Dataset, modality: str) -> list[Example]:
    """Return examples of train and pretrain with `modality`; some runs have it only in pretrain."""
    searched = (*dataset.split("train"), *dataset.split("pretrain"))
    found = [example for example in searched if modality in example.modalities]
    if not found:
        raise CalibrationMissingError(
            f"{dataset.folder}: no example of the splits train and pretrain has {modality}, which int8 takes "
            f"its ranges from; add some, or choose --scheme {modality}=fp32"
        )
    return spread(found, CALIBRATION)


def held_out_examples(dataset: Dataset, modalities: Sequence[str]) -> list[Example]:
    """Return examples of the split eval, in order; some more where one of `modalities` is rare."""
    return _measured(dataset, dataset.split(EVALUATED), EVALUATED, modalities)


def calibrate_examples(dataset: Dataset, splits: Sequence[str] = ("calibrate",)) -> list[Example]:
    """Return examples of `splits`; the model is too sure of those that it learned from."""
    return spread([example for split in splits for example in dataset.split(split)], FITTED)


def searched_examples(dataset: Dataset, modalities: Sequence[str]) -> list[Example]:
    """Return examples of the split calibrate, or of train if there is none, to choose schemes by."""
    split = "calibrate" if dataset.split("calibrate") else "train"
    return _measured(dataset, dataset.selection, split, modalities)


def _measured(
    dataset: Dataset, examples: Sequence[Example], split: str, modalities: Sequence[str]
) -> list[Example]:
    chosen = {example.id for example in spread(examples, _HELD_OUT)}
    for modality in modalities:
        having = [example for example in examples if modality in example.modalities]
        if not having:
            raise CalibrationMissingError(
                f"{dataset.folder}: no example of the split {split} has {modality}, on which its encoder is "
                "measured; add some"
            )
        if sum(example.id in chosen for example in having) < _LEAST:
            chosen |= {example.id for example in spread(having, _LEAST)}
    return [example for example in examples if example.id in chosen]


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most `most` of `items`, evenly spaced: a split may be sorted by class or by day."""
    count = min(most, len(items))
    return [items[index * len(items) // count] for index in range(count)]
