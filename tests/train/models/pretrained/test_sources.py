"""The pretrained encoders that a machine has, by the form of what they read."""

from pathlib import Path

import pytest
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.spec import InputSpec
from sensemble_train.models import infer_spec
from sensemble_train.models.pretrained import weights
from sensemble_train.models.pretrained.sources import NAMES, installed

from tests.train.tiny import dark_and_bright, write_index


def film(side: int) -> InputSpec:
    return InputSpec("video", "uint8", (1, 4, side, side, 3), 4.0, 1.0, 0.5, 2.0)


SOUND = InputSpec("audio", "float32", (1, 16_000), 16_000, 1.0, 0.5, 2.0)
CAPTION = InputSpec("text", "int64", (1, 16), 0, 0.0, 0.0, 2.0)


def test_small_pictures_have_none_and_everything_else_its_own() -> None:
    names = ["whisper-tiny.en", "minilm", "efficientnet-lite0"]
    assert [installed(spec) for spec in (SOUND, CAPTION, film(64))] == names
    assert installed(film(48)) == ""


def test_a_dataset_of_small_films_has_those_of_its_sound_and_captions(tmp_path: Path) -> None:
    write_index(tmp_path, dark_and_bright(tmp_path))
    assert infer_spec.installed(read_dataset(tmp_path)) == {"audio": "whisper-tiny.en", "text": "minilm"}


def test_one_that_is_not_fetched_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    assert installed(SOUND) == installed(CAPTION) == ""
    pinned = NAMES["minilm"].weights.cached
    pinned.parent.mkdir(parents=True)
    pinned.touch()
    assert installed(CAPTION) == "", "its tokenizer is not there"
    found = NAMES["whisper-tiny.en"].weights.cached
    found.parent.mkdir(parents=True)
    found.touch()
    assert installed(SOUND) == "whisper-tiny.en"
