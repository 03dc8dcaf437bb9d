"""Takes are listed, deleted and labelled anew, and the index is whole at any time."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sensemble_sensors import Recorded, Recording, Sample, read_dataset
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.errors import BadDataError, RecordingError
from sensemble_sensors.media.streams import read_streams, seconds
from sensemble_sensors.recording.editing import edit_index, set_splits
from sensemble_sensors.recording.takes import Take, delete_take, read_takes, relabel_take

RATE = 16000


def record(
    folder: Path,
    seconds: float = 2.0,
    *,
    split: str = "train",
    labels: Sequence[str] = ("yes",),
    background: bool = False,
    pictures: bool = True,
) -> int:
    """Record sound and perhaps pictures for some seconds, in no time; return the number of the take."""
    form = {"audio": (RATE,)}
    clock = VirtualClock()
    with Recording(folder, form, split=split, labels=labels, background=background, clock=clock) as out:
        begin = out.began + 5  # at a whole second of the take, so the number of segments is known
        for i in range(round(10 * seconds)):
            out.put(Sample("audio", np.full(RATE // 10, i / 100, np.float32), begin + i / 10, cut=i == 0))
            if pictures:
                out.put(Sample("video", np.full((32, 32, 3), i, np.uint8), begin + i / 10, cut=i == 0))
    return out.take


def index(folder: Path) -> list[bytes]:
    return (folder / "index.jsonl").read_bytes().splitlines(keepends=True)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "segments").iterdir())


def test_takes_are_listed_with_what_was_recorded(tmp_path: Path) -> None:
    numbers = [
        record(tmp_path),
        record(tmp_path, 3.0, labels=(), background=True, pictures=False),
        record(tmp_path, 1.0, split="pretrain", labels=()),
    ]
    assert numbers == [1, 2, 3]
    both = ("audio", "video")
    assert read_takes(tmp_path) == (
        Take(1, "train", ("yes",), False, ("000000", "000001"), 2.0, both),
        Take(2, "train", (), True, ("000002", "000003", "000004"), 3.0, ("audio",)),
        Take(3, "pretrain", (), False, ("000005",), 1.0, both),
    )


def test_a_deleted_take_leaves_nothing_and_the_others_untouched(tmp_path: Path) -> None:
    for label in ("yes", "no", "stop"):
        record(tmp_path, labels=(label,))
    before, mode = index(tmp_path), (tmp_path / "index.jsonl").stat().st_mode
    delete_take(tmp_path, 2)
    assert index(tmp_path) == before[:2] + before[4:]
    assert (tmp_path / "index.jsonl").stat().st_mode == mode
    assert files(tmp_path) == [f"{n:06d}{s}" for n in (0, 1, 4, 5) for s in (".jsonl", ".mkv")]
    assert [take.labels for take in read_takes(tmp_path)] == [("yes",), ("stop",)]
    recorded = Recorded(tmp_path, read_dataset(tmp_path).examples)
    assert len({(s.header.take, s.header.start) for s in recorded.segments}) == 4
    with pytest.raises(RecordingError, match="has no take 2"):
        delete_take(tmp_path, 2)


def test_the_number_of_a_deleted_take_is_not_used_again(tmp_path: Path) -> None:
    record(tmp_path)
    delete_take(tmp_path, record(tmp_path, labels=("no",)))
    assert record(tmp_path, labels=("stop",)) == 3
    assert [(take.number, take.labels) for take in read_takes(tmp_path)] == [(1, ("yes",)), (3, ("stop",))]
    for number in (1, 3):
        delete_take(tmp_path, number)
    assert (read_takes(tmp_path), files(tmp_path)) == ((), [])
    assert record(tmp_path) == 4, "also after the only one"


def test_nothing_is_deleted_while_another_take_is_recorded(tmp_path: Path) -> None:
    record(tmp_path)
    before = index(tmp_path), files(tmp_path)
    with (
        Recording(tmp_path, {"audio": (RATE,)}),
        pytest.raises(RecordingError, match="is being recorded into; end"),
    ):
        delete_take(tmp_path, 1)
    assert (index(tmp_path), files(tmp_path)) == before
    delete_take(tmp_path, 1)


def test_a_bad_line_is_named_and_nothing_is_deleted(tmp_path: Path) -> None:
    record(tmp_path)
    record(tmp_path)
    lines = index(tmp_path)
    (tmp_path / "index.jsonl").write_bytes(b"".join([*lines[:3], b"{nonsense}\n", lines[3]]))
    with pytest.raises(BadDataError, match=r"index\.jsonl:4: not JSON.*; repair"):
        delete_take(tmp_path, 1)
    assert len(files(tmp_path)) == 8
    assert len(index(tmp_path)) == 5


def test_a_line_that_breaks_off_is_kept_for_the_next_take_to_repair(tmp_path: Path) -> None:
    record(tmp_path)
    record(tmp_path)
    lines = index(tmp_path)
    (tmp_path / "index.jsonl").write_bytes(b"".join(lines) + b'{"id": "00')
    delete_take(tmp_path, 1)
    assert index(tmp_path) == [*lines[2:], b'{"id": "00']


def test_a_take_whose_files_are_gone_is_named_with_the_remedy_and_can_still_be_deleted(
    tmp_path: Path,
) -> None:
    record(tmp_path)
    (tmp_path / "segments" / "000000.mkv").unlink()
    (tmp_path / "segments" / "000001.jsonl").unlink()
    with pytest.raises(BadDataError, match=r"index\.jsonl:1: audio: there is no file"):
        read_takes(tmp_path)
    (tmp_path / "segments" / "000000.mkv").write_bytes(b"media")
    with pytest.raises(BadDataError, match=r"index\.jsonl: take 1: .*000001.*; delete"):
        read_takes(tmp_path)
    delete_take(tmp_path, 1)
    assert (read_takes(tmp_path), files(tmp_path)) == ((), [])


def test_a_full_disk_leaves_the_index_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path)
    before = index(tmp_path), files(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordingError, match="cannot be written"):
        delete_take(tmp_path, 1)
    assert (index(tmp_path), files(tmp_path)) == before


def test_a_take_is_labelled_anew_without_its_rest(tmp_path: Path) -> None:
    record(tmp_path, 2.2, split="pretrain", labels=())
    record(tmp_path)
    others = index(tmp_path)[3:]
    relabel_take(tmp_path, 1, split="train", labels=("no",))
    assert [(e.split, e.labels) for e in read_dataset(tmp_path).examples[:3]] == [
        ("train", ("no",)),
        ("train", ("no",)),
        ("pretrain", ()),
    ]
    assert index(tmp_path)[3:] == others
    relabel_take(tmp_path, 1, split="train", background=True)
    assert [take.background for take in read_takes(tmp_path)] == [True, False]
    relabel_take(tmp_path, 1)
    first = read_takes(tmp_path)[0]
    assert (first.split, first.labels, first.background) == ("pretrain", (), False)
    with pytest.raises(RecordingError, match="all but pretrain need a label"):
        relabel_take(tmp_path, 1, split="train")
    with pytest.raises(RecordingError, match="has no take 7"):
        relabel_take(tmp_path, 7)


def test_splits_of_any_dataset_are_set_and_other_lines_stay_byte_for_byte(tmp_path: Path) -> None:
    lines = [
        '{"id":"a",  "split":"train","labels":["x"],"text":"t"}\r\n',
        "\n",
        json.dumps({"id": "b", "split": "train", "labels": ["ä"], "text": "t"}, ensure_ascii=False) + "\n",
        '{"id":"c",  "split":"train","labels":["x"],"text":"t"}',
    ]
    (tmp_path / "index.jsonl").write_text("".join(lines), encoding="utf-8", newline="")
    set_splits(str(tmp_path), {"b": "eval", "a": "train"})
    changed = [line.decode() for line in index(tmp_path)]
    assert changed == [lines[0], lines[1], lines[2].replace("train", "eval"), lines[3]]
    assert [e.split for e in read_dataset(tmp_path).examples] == ["train", "eval", "train"]


def test_a_folder_without_an_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"index\.jsonl: is missing"):
        edit_index(tmp_path, lambda line: line.values)


def test_a_label_that_would_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    record(tmp_path, labels=("a" * 4096,))
    with pytest.raises(RecordingError, match=r"labels\[0\]: .*4096"):
        record(tmp_path, labels=("a" * 4097,))
    assert len(read_takes(tmp_path)) == 1


def long_background(folder: Path, split: str) -> int:
    """Record 20 seconds of nothing, ten a segment; return the number of the take."""
    form = {"audio": (RATE,)}
    with Recording(folder, form, seconds=10.0, split=split, background=True, clock=VirtualClock()) as out:
        for i in range(200):
            sound = np.full(RATE // 10, i / 400, np.float32)
            out.put(Sample("audio", sound, out.began + i / 10, cut=i == 0))
            out.put(Sample("text", "nothing to see", out.began + i / 10))
    return out.take


def test_a_long_background_is_a_stream_until_it_is_deleted_or_gets_a_label(tmp_path: Path) -> None:
    takes = [long_background(tmp_path, split) for split in ("calibrate", "train", "pretrain")]
    record(tmp_path, labels=(), background=True)  # of segments that are too short
    streams = read_streams(tmp_path)
    assert {(one.split, one.modalities, one.spans) for one in streams} == {
        ("calibrate", ("audio",), ()),
        ("train", ("audio",), ()),
    }
    assert sum(seconds(one, {}) for one in streams) == pytest.approx(40, abs=0.2)
    assert {one.id for one in streams} == {e.id for e in read_dataset(tmp_path).background("calibrate")} | {
        e.id for e in read_dataset(tmp_path).background("train") if "take 2" in e.groups
    }
    relabel_take(tmp_path, takes[1], split="train", labels=("yes",))
    assert {one.split for one in read_streams(tmp_path)} == {"calibrate"}
    delete_take(tmp_path, takes[0])
    assert read_streams(tmp_path) == ()


def test_a_stream_goes_where_its_take_goes_and_survives_a_line_that_breaks_off(tmp_path: Path) -> None:
    long_background(tmp_path, "calibrate")
    moved = {example.id: "eval" for example in read_dataset(tmp_path).background("calibrate")}
    set_splits(tmp_path, moved)
    assert {one.split for one in read_streams(tmp_path)} == {"eval"}
    with (tmp_path / "streams.jsonl").open("a") as file:
        file.write('{"id": "0000')  # a power cut
    assert len(read_streams(tmp_path)) == 2
    long_background(tmp_path, "calibrate")
    assert [one.split for one in read_streams(tmp_path)] == ["eval", "eval", "calibrate", "calibrate"]
