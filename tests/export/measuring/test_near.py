"""Near windows to learn from: made of two classes, the same for a seed, none where nothing can be mixed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sensemble_export.measuring.near import near_windows
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_train.data.clips import as_input

from tests.train.tiny import SPECS, Line, dark_and_bright, tiny_model, write_index

TOKENIZER = tiny_model().tokenizer


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    return write_index(folder, dark_and_bright(folder))


def labelled(folder: Path) -> list[Example]:
    return [example for example in read_dataset(folder).examples if example.labels]


def test_each_kind_gives_windows_that_no_example_shows(clips: Path) -> None:
    examples = labelled(clips)
    for modality, spec in (SPECS | {"text": replace(SPECS["text"], shape=(1, 32))}).items():
        made = near_windows(examples, spec, TOKENIZER, "multi-class", 0)
        assert 0 < len(made) < len(examples)
        assert (made.dtype, made.shape[1:]) == (getattr(torch, spec.dtype), spec.shape[1:])
        torch.testing.assert_close(made, near_windows(examples, spec, TOKENIZER, "multi-class", 0))
        shown = [kind_of(spec).window(one, spec) for one in examples if modality in one.modalities]
        known = [as_input(window, spec, TOKENIZER) for window in shown]
        assert not any(np.array_equal(one[None], other) for one in made for other in known), modality


def test_two_at_once_are_known_where_several_labels_are_allowed(clips: Path) -> None:
    examples, spec = labelled(clips), replace(SPECS["text"], shape=(1, 32))
    assert len(near_windows(examples, spec, TOKENIZER, "multi-label", 0)) == 0


def test_a_single_class_or_a_broken_file_gives_none(tmp_path: Path, clips: Path) -> None:
    examples = labelled(clips)
    alone = [one for one in examples if one.labels == examples[0].labels]
    assert len(near_windows(alone, SPECS["video"], TOKENIZER, "multi-class", 0)) == 0
    (tmp_path / "a.wav").write_bytes(b"not sound")
    lines: list[Line] = [{"split": "train", "labels": [label], "audio": "a.wav"} for label in "ab"]
    broken = labelled(write_index(tmp_path, lines))
    assert len(near_windows(broken, SPECS["audio"], TOKENIZER, "multi-class", 0)) == 0
