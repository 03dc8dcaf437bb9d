"""The examples that an export calibrates on, and those that it is measured on."""

from pathlib import Path

import pytest
from sensemble_export.errors import CalibrationMissingError
from sensemble_export.measuring.examples import (
    CALIBRATION,
    calibration_examples,
    held_out_examples,
    searched_examples,
    spread,
)
from sensemble_sensors.media.dataset import Dataset, Example


def test_what_is_taken_of_a_split_is_spread_over_it() -> None:
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread(range(3), 4) == [0, 1, 2]
    assert spread(range(0), 4) == []


def example(number: int, split: str, **has: Path | str) -> Example:
    labels = () if split == "pretrain" else ("cat",)
    return Example(f"{split}-{number}", split, labels, has, line=number)


def dataset(*examples: Example) -> Dataset:
    return Dataset(Path("clips"), examples)


def test_a_modality_is_calibrated_on_whatever_examples_have_it() -> None:
    heard = [example(i, "train", audio=Path("a.wav")) for i in range(300)]
    captioned = [example(i, "pretrain", text="a cat") for i in range(3)]
    found = dataset(*heard, *captioned)
    assert calibration_examples(found, "text") == captioned
    assert len(calibration_examples(found, "audio")) == CALIBRATION
    with pytest.raises(CalibrationMissingError, match=r"^clips: .*train and pretrain .*video"):
        calibration_examples(found, "video")


def test_a_rare_modality_is_met_in_what_is_held_out() -> None:
    rare = {"text": "a cat"}
    examples = [example(i, "eval", audio=Path("a.wav"), **(rare if i % 50 == 1 else {})) for i in range(5000)]
    found = held_out_examples(dataset(*examples), ("audio", "text"))
    assert sum("text" in one.values for one in found) == 64
    assert 1000 <= len(found) <= 1064
    assert [one.line for one in found] == sorted(one.line for one in found)
    with pytest.raises(CalibrationMissingError, match=r"^clips: .*eval .*video"):
        held_out_examples(dataset(*examples), ("audio", "video"))


def test_a_search_never_looks_at_eval() -> None:
    eval_, train = ([example(i, split, text="a cat") for i in range(30)] for split in ("eval", "train"))
    calibrate = [example(i, "calibrate", text="a cat") for i in range(5)]
    assert searched_examples(dataset(*eval_, *train, *calibrate), ("text",)) == calibrate
    assert searched_examples(dataset(*eval_, *train), ("text",)) == train
    seen = [example(100, split, audio=Path("a.wav")) for split in ("eval", "train")]
    with pytest.raises(CalibrationMissingError, match=r"^clips: .*calibrate .*audio"):
        searched_examples(dataset(*eval_, *calibrate, *seen), ("audio", "text"))
    with pytest.raises(CalibrationMissingError, match=r"^clips: .*train .*text"):
        searched_examples(dataset(*eval_), ("text",))
