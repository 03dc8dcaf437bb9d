"""Files that several splits share are named, by whatever name they go."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.leaks import Leak, leaks


def found(folder: Path, *lines: dict[str, object]) -> list[Leak]:
    index = [{"id": str(number), "labels": ["yes"], **line} for number, line in enumerate(lines, start=1)]
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in index))
    return list(leaks(read_dataset(folder)))


@pytest.fixture
def one(tmp_path: Path) -> Path:
    file = tmp_path / "one.wav"
    file.write_bytes(os.urandom(200_000))
    return file


def link_in(file: Path, other: Path) -> None:
    other.symlink_to(file.name)


@pytest.mark.parametrize("put", [os.link, link_in, shutil.copy])
@pytest.mark.parametrize("split", ["train", "pretrain", "calibrate"])
def test_the_same_content_in_two_splits(one: Path, put: Callable[[Path, Path], None], split: str) -> None:
    put(one, one.with_name("two.mkv"))
    (leak,) = found(
        one.parent, {"split": split, "audio": "one.wav"}, {"split": "eval", "video": "two.mkv", "text": "yes"}
    )
    assert leak.same
    assert f"one.wav of '1' ({split}, line 1) and two.mkv of '2' (eval, line 2)" in leak.text


def test_each_two_splits_are_named(one: Path) -> None:
    splits = ("train", "calibrate", "eval")
    assert len(found(one.parent, *({"split": split, "audio": one.name} for split in splits))) == 3


def test_a_background_a_series_and_a_still_picture_count(one: Path) -> None:
    (one.parent / "modalities.json").write_text('{"imu": {"kind": "series", "rate": 10, "channels": ["a"]}}')
    first: dict[str, object] = {"split": "train", "labels": [], "background": True}
    for field in ("imu", "image", "video.rear"):
        assert len(found(one.parent, {**first, field: one.name}, {"split": "eval", field: one.name})) == 1


def test_what_is_no_leak(one: Path) -> None:
    data = bytearray(one.read_bytes())
    data[-1] ^= 1  # of the same size and beginning
    one.with_name("two.wav").write_bytes(data)
    shutil.copy(one, one.with_name("again.wav"))
    for name in ("silence", "silence too"):
        one.with_name(name).write_bytes(bytes(99))
    silence: dict[str, object] = {"labels": [], "background": True}
    train = {"split": "train", "text": "the same words", "audio": "one.wav"}
    assert not found(
        one.parent,
        train,
        {**train, "audio": "again.wav"},
        {"split": "pretrain", "audio": "one.wav"},
        {"split": "eval", "text": "the same words", "audio": "two.wav"},
        {"split": "train", "audio": "silence", **silence},
        {"split": "eval", "audio": "silence too", **silence},
    )


def test_parts_of_one_file_are_told_from_the_same_seconds(one: Path) -> None:
    train = {"split": "train", "audio": one.name, "start": 1, "end": 3}
    for start, same in ((3, False), (2.9, True), (0, True)):
        (leak,) = found(
            one.parent, train, {"split": "eval", "audio": one.name, "start": start, "end": start + 2}
        )
        assert leak.same == same
        assert ("parts of one file" in leak.text) != same
