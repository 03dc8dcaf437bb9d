"""The embedded dataset: the same bytes each time, in the data format, with backgrounds that show no digit."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import window
from sensemble_sensors.media.streams import read_streams, seconds
from sensemble_sensors.spec import InputSpec
from sensemble_train.digits.build import build
from sensemble_train.digits.motion import MOTION_RATE
from sensemble_train.digits.plan import DigitsConfig
from sensemble_train.digits.sentences import sentences
from sensemble_train.digits.voices import SIDES, WORDS
from sensemble_train.models.infer_spec import describe

from tests.processes import children
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real

NAMES = ("pretrain", "calibrate", "train", "eval")
ONCE = tuple((name, 1) for name in NAMES)
FEW = DigitsConfig(
    pictures=tuple(zip(NAMES, (6, 3, 4, 4), strict=True)),
    renderings=ONCE,
    backgrounds=tuple(zip(NAMES, (20, 3, 2, 5), strict=True)),
    near=(("calibrate", 2), ("eval", 4)),
    streams=(("train", 20), ("eval", 40)),
)
SOUND = InputSpec("audio", "float32", (1, 16000), 16000, 1.0, 0.5, 2.0)
CAPTIONS = InputSpec("text", "int64", (1, 32), 0, 0, 0, 2.0)
FILM = InputSpec("video", "uint8", (1, 4, 48, 48, 3), 4.0, 1.0, 0.5, 2.0)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("first") / "digits", FEW, lambda _done, _all: None)


def test_building_again_gives_the_same_bytes_whatever_near_backgrounds_or_modalities_join(
    digits: Path, tmp_path: Path
) -> None:
    four = build(tmp_path / "digits", replace(FEW, imu=True, near=()), lambda _done, _all: None)
    files = sorted(four.rglob("*.mkv"))
    assert len(files) == 49
    for file in files:
        assert file.read_bytes() == (digits / file.relative_to(four)).read_bytes(), file
    lines, more = (
        [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
        for folder in (digits, four)
    )
    assert [{k: v for k, v in line.items() if k != "imu"} for line in more] == lines[:47]
    dataset = read_dataset(four)
    assert dataset.modalities == ("audio", "imu", "text", "video")
    spec = describe(dataset).specs["imu"]
    assert spec.shape == (1, MOTION_RATE, 6)
    found = kind_of(spec).window(dataset.examples[0], spec)
    np.testing.assert_array_equal(found[0], np.load(dataset.examples[0].value("imu")))  # type: ignore[index, arg-type]


def test_a_finished_dataset_is_left_alone(digits: Path) -> None:
    def fail(_done: int, _all: int) -> None:
        raise AssertionError

    assert build(digits, FEW, fail) == digits


def test_the_folder_is_in_the_data_format(digits: Path) -> None:
    dataset = read_dataset(digits)
    assert Counter(e.split for e in dataset.known) == {"pretrain": 6, "calibrate": 3, "train": 4, "eval": 4}
    assert [len(dataset.background(name)) for name in NAMES] == [20, 5, 2, 9]
    assert Counter(e.split for e in dataset.examples if e.sort == "near") == {"calibrate": 2, "eval": 4}
    for example in dataset.known:
        assert example.modalities == ("audio", "text", "video")
        assert len(example.labels) == 1
        assert set(example.labels) <= set(WORDS)
        assert window(example, SOUND).std() > 0.0005
        frames = window(example, FILM)[0].astype(int)
        assert frames.std() > 3
        assert np.abs(np.diff(frames, axis=0)).max() > 0


def test_backgrounds_have_every_modality_and_name_no_digit(digits: Path) -> None:
    found = [e for name in NAMES for e in read_dataset(digits).background(name)]
    for example in found:
        assert example.modalities == ("audio", "text", "video")
        assert example.value("text") is not None
        assert example.sort or not set(example.value("text").split()) & set(WORDS)
    peaks = [float(np.abs(window(example, SOUND)).max()) for example in found]
    assert min(peaks) < 0.01, "in some, nothing is heard"
    assert max(peaks) > 0.05, "some are not"
    light = [float(window(example, FILM).mean()) for example in found]
    assert (min(light) < 60, max(light) > 200) == (True, True), "some are bright and some are dark"


def test_streams_show_a_digit_now_and_then_and_nothing_else(digits: Path) -> None:
    train, shown = read_streams(digits)
    assert [(each.split, seconds(each, {})) for each in (train, shown)] == [("train", 20), ("eval", 40)]
    assert not {*train.groups} & {*shown.groups}
    assert {span.label for span in shown.spans} <= set(WORDS)
    assert len(shown.spans) >= 2
    assert all(span.end - span.begin >= 1.2 for span in shown.spans)
    samples = list(shown.samples({"audio": SOUND, "video": FILM, "text": CAPTIONS}))
    heard = np.concatenate([np.asarray(s.data) for s in samples if s.modality == "audio"])
    assert len(heard) == 40 * 16000
    peaks = np.array(
        [np.abs(heard[int(16000 * (s.end - 0.3)) : int(16000 * s.end)]).max() for s in shown.spans]
    )
    assert peaks.min() > np.median(np.abs(heard)), "a word ends as its sheet is taken away"
    told = [s.time for s in samples if s.modality == "text"]
    assert all(any(span.begin <= time <= span.end for time in told) for span in shown.spans)


def test_no_sentence_has_a_digit_and_none_is_on_two_sides() -> None:
    sides = [set(sentences(side)) for side in SIDES.values()]
    assert not set.intersection(sides[1], sides[2]) | set.intersection(sides[2], sides[3])
    assert not {word.strip(",?.") for side in sides for one in side for word in one.split()} & set(WORDS)


@pytest.mark.parametrize(
    ("number", "to", "films", "message"),
    [
        (signal.SIGKILL, "parent", True, ""),
        (signal.SIGKILL, "worker", False, "was killed, perhaps for want of memory; build again"),
        (signal.SIGINT, "all", False, "sensemble: interrupted"),
        (signal.SIGTERM, "all", True, "sensemble: interrupted"),
    ],
)
def test_a_build_that_is_ended_leaves_no_process_and_no_traceback(
    tmp_path: Path, number: int, to: str, films: bool, message: str
) -> None:
    """It speaks all words of a chunk before it films the first; each is ended in one of both."""
    command = [sys.executable, "-m", "sensemble_apps", "data", "build"]
    environment, pipe = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}, subprocess.PIPE
    with subprocess.Popen(command, env=environment, start_new_session=True, stderr=pipe, text=True) as built:
        wait_until(lambda: not films or any(tmp_path.rglob("*.mkv")))
        wait_until(lambda: [child for child in children(built.pid) if children(child)])
        worker = next(child for child in children(built.pid) if children(child))
        try:
            os.kill({"parent": built.pid, "worker": worker, "all": -built.pid}[to], number)
            errors = built.communicate(timeout=PATIENCE)[1]  # which ends with the last process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(built.pid, signal.SIGKILL)
    assert message in errors
    assert to == "parent" or errors.count("\n") == 1, "where the parent was killed, Python names semaphores"
