"""The embedded dataset: the same bytes each time, splits that share no picture, captions that seldom tell."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import window
from sensemble_sensors.spec import InputSpec
from sensemble_train.digits.build import DigitsConfig, _plan, build
from sensemble_train.digits.captions import caption
from sensemble_train.digits.personas import personas
from sensemble_train.digits.speech import RATE, Utterance, speak
from sensemble_train.digits.words import WORDS

NAMES = ("pretrain", "calibrate", "train", "eval")
ONCE = tuple((name, 1) for name in NAMES)
FEW = DigitsConfig(pictures=tuple(zip(NAMES, (6, 3, 4, 4), strict=True)), renderings=ONCE)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("first") / "digits", FEW, lambda _done, _all: None)


def test_building_twice_gives_the_same_bytes(digits: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "digits", FEW, lambda _done, _all: None)
    files = sorted(p.relative_to(digits) for p in digits.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert len(files) == 18
    for file in files:
        assert (digits / file).read_bytes() == (again / file).read_bytes(), file


def test_a_finished_dataset_is_left_alone(digits: Path) -> None:
    def fail(_done: int, _all: int) -> None:
        raise AssertionError

    assert build(digits, FEW, fail) == digits


def test_the_folder_is_in_the_data_format(digits: Path) -> None:
    dataset = read_dataset(digits)
    assert Counter(e.split for e in dataset.examples) == {
        "pretrain": 6,
        "calibrate": 3,
        "train": 4,
        "eval": 4,
    }
    assert len({e.group for e in dataset.examples}) == 17, "each of them shows another picture"
    sound = InputSpec("audio", "float32", (1, 16000), 16000, 1.0, 0.5, 2.0)
    film = InputSpec("video", "uint8", (1, 8, 32, 32, 3), 8.0, 1.0, 0.5, 2.0)
    for example in dataset.examples:
        assert example.modalities == ("audio", "text", "video")
        assert len(example.labels) == 1
        assert set(example.labels) <= set(WORDS)
        assert window(example, sound).std() > 0.003
        frames = window(example, film)[0].astype(int)
        assert frames.std() > 5
        assert np.abs(np.diff(frames, axis=0)).max() > 0


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), sizes=st.lists(st.integers(1, 40), min_size=4, max_size=4))
def test_no_picture_is_in_two_splits(seed: int, sizes: list[int]) -> None:
    twice = tuple((name, 2) for name in NAMES)
    plans = _plan(DigitsConfig(seed, tuple(zip(NAMES, sizes, strict=True)), twice))
    pictures = {split: Counter(p.picture.tobytes() for p in plans if p.split == split) for split in NAMES}
    assert [len(pictures[name]) for name in NAMES] == sizes
    assert len(set().union(*pictures.values())) == sum(sizes)
    assert {count for split in pictures.values() for count in split.values()} == {2}
    assert len({(p.group, p.picture.tobytes()) for p in plans}) == len({p.group for p in plans}) == sum(sizes)


def test_the_whole_dataset_fits_scikit_learns_pictures() -> None:
    assert sum(count for _, count in DigitsConfig().pictures) == 1797


@pytest.mark.parametrize("digit", range(10))
def test_a_quarter_of_the_captions_name_the_digit_and_none_another(digit: int) -> None:
    rng = np.random.default_rng(digit)
    person = personas(0)[digit]
    said = [set(caption(digit, person.opening, person.place, rng).split()) for _ in range(4000)]
    assert np.mean([WORDS[digit] in words for words in said]) == pytest.approx(0.25, abs=0.03)
    others = set(WORDS) - {WORDS[digit]}
    assert not any(words & others for words in said)


def test_people_differ_and_come_back() -> None:
    people = personas(3)
    assert people == personas(3)
    assert people != personas(4)
    for trait in ("voice", "hum", "opening", "place"):
        assert len({getattr(person, trait) for person in people}) == len(people)


def test_speech_is_sound_that_depends_on_the_word_and_the_voice() -> None:
    asked = [
        Utterance("three", "en-us+f4", 50, 160),
        Utterance("seven", "en-us+f4", 50, 160),
        Utterance("three", "en-gb+linda", 50, 160),
    ]
    waves = list(speak(asked))
    assert len(waves) == 3
    for wave in waves:
        assert wave.dtype == np.int16
        assert 0.1 < len(wave) / RATE < 2.0
        assert np.abs(wave.astype(int)).max() > 1000
    for wave, again in zip(waves, speak(asked), strict=True):
        assert np.array_equal(wave, again)
    assert not np.array_equal(waves[0], waves[1])
    assert not np.array_equal(waves[0], waves[2])
