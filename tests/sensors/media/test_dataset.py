"""The index is read strictly: every bad line is reported with file, line and reason."""

import json
import os
from pathlib import Path

import pytest
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_sensors.media.splits import SPLITS
from sensemble_sensors.recording.editing import rename_label

from tests.sensors.studio import write_index

GOOD: dict[str, object] = {"id": "a", "split": "train", "labels": ["seven"], "text": "a seven"}


def test_every_field_is_read(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    for name in ("a.mkv", "b.png"):
        (tmp_path / "media" / name).write_text(name)
    full = {
        "id": "clip 1",
        "split": "eval",
        "labels": ["dog", "cat"],
        "video": "media/a.mkv",
        "audio": "media/a.mkv",
        "start": 1,
        "end": 2.5,
        "text": "ein\u2028Hündchen",
        "group": "Anna",
    }
    still = {"id": "2", "split": "pretrain", "image": "media/b.png", "text": None}
    dataset = read_dataset(write_index(tmp_path, json.dumps(full, ensure_ascii=False), "", still))
    clip = tmp_path / "media" / "a.mkv"
    assert dataset == Dataset(
        tmp_path,
        (
            Example(
                "clip 1",
                "eval",
                ("dog", "cat"),
                {"audio": clip, "video": clip, "text": "ein\u2028Hündchen"},
                1,
                1.0,
                2.5,
                ("Anna",),
                "Anna",
            ),
            Example("2", "pretrain", (), {"image": tmp_path / "media" / "b.png"}, 3),
        ),
    )
    assert [example.modalities for example in dataset.examples] == [("audio", "text", "video"), ("video",)]
    assert dataset.split("eval") == dataset.examples[:1]
    assert dataset.split("train") == ()


def test_backgrounds_are_in_any_split_and_are_none_of_its_examples(tmp_path: Path) -> None:
    (tmp_path / "noise.wav").write_bytes(b"media")
    lines: list[dict[str, object]] = [GOOD, GOOD | {"id": "known", "background": False}]
    for split in SPLITS:
        background = {"id": f"noise {split}", "split": split, "background": True, "audio": "noise.wav"}
        background |= {"background": "ne\u0301\u00a0\u067e\u0633\u200c\u0632"} if split == "eval" else {}
        lines.append(background | ({"labels": []} if split == "eval" else {}))
    dataset = read_dataset(write_index(tmp_path, *lines))
    assert len(dataset.examples) == 6
    assert [e.id for e in dataset.known] == [e.id for e in dataset.split("train")] == ["a", "known"]
    for split in SPLITS:
        (background,) = dataset.background(split)
        assert (background.id, background.labels) == (f"noise {split}", ())
    assert [e.sort for e in dataset.examples if e.background] == [
        "",
        "",
        "",
        "n\u00e9 \u067e\u0633\u200c\u0632",
    ]
    assert dataset.split("eval") == ()
    assert dataset.modalities == ("text",), "what is only heard in the background is no modality"


def test_names_are_the_same_however_their_characters_are_composed(tmp_path: Path) -> None:
    one = GOOD | {"labels": ["caf\u00e9"], "group": "Zo\u00eb"}
    other = GOOD | {"id": "b", "labels": ["cafe\u0301"], "group": ["Zoe\u0308", "M\u00fcnchen"]}
    folder = write_index(tmp_path, one, other)
    dataset = read_dataset(folder)
    assert dataset.labels == ("caf\u00e9",)
    assert [example.groups for example in dataset.examples] == [("Zo\u00eb",), ("M\u00fcnchen", "Zo\u00eb")]
    rename_label(folder, "caf\u00e9", "tea")
    assert read_dataset(folder).labels == ("tea",)


BAD = [
    ("{", "not JSON"),
    ("[1]", "not a JSON object"),
    ('{"id": "\udcff"}', "not JSON in UTF-8"),
    ("[" * 100_000, "not JSON"),
    ('{"id": "a", "id": "b"}', "a key is repeated: id; give it once"),
    (GOOD | {"id": None}, "id: is missing"),
    (GOOD | {"id": 3}, "id: expected a string"),
    (GOOD | {"split": "test"}, "split: expected one of pretrain, train, calibrate, eval"),
    (GOOD | {"labels": []}, "labels: a train example needs at least one"),
    (GOOD | {"background": True}, "labels: a background shows none of the classes"),
    (GOOD | {"background": 1}, "background: expected true or false"),
    (GOOD | {"background": "False", "labels": []}, "background: 'False' is not a sort"),
    (GOOD | {"background": " "}, "background: expected true or false"),
    (
        GOOD | {"background": "other\u200bwords"},
        r"background: 'other\\u200bwords' holds an invisible character",
    ),
    (GOOD | {"background": "\x1b[2J"}, "background: expected printable text"),
    (GOOD | {"background": False, "labels": []}, "labels: a train example needs at least one"),
    (GOOD | {"labels": "seven"}, "labels: expected"),
    (GOOD | {"labels": ["a", "a"]}, "labels: expected"),
    (GOOD | {"labels": ["a\x1b[2J"]}, r"labels\[0\]: expected"),
    (GOOD | {"labels": ["a", 7]}, r"labels\[1\]: expected"),
    (GOOD | {"text": " "}, "text: is blank"),
    (GOOD | {"text": None}, "names none of audio, text, video, image"),
    (GOOD | {"vidoe": "a.mkv"}, "vidoe: unknown field"),
    (GOOD | {"start": -1}, "start: expected a number"),
    (GOOD | {"end": float("nan")}, "end: expected a number"),
    (GOOD | {"start": 2, "end": 2}, "end: expected a time after start"),
    (json.dumps(GOOD)[:-1] + f', "end": {"9" * 400}}}', "end: expected a number"),
    (json.dumps(GOOD)[:-1] + f', "end": {"9" * 5000}}}', "not JSON"),
    (GOOD | {"video": "\ud800"}, "video: expected a string"),
    (GOOD | {"labels": ["\ud800"]}, r"labels\[0\]: expected"),
    (GOOD | {"\ud800\n": 1}, "'.*': unknown field"),
    (GOOD | {"text": "a" * (1 << 20)}, "longer than"),
    (GOOD | {"video": "gone.mkv"}, r"video: there is no file 'gone\.mkv'; add it"),
    (GOOD | {"audio": "empty.wav"}, r"audio: 'empty\.wav' is empty"),
    (GOOD | {"video": "folder"}, "video: there is no file"),
    (GOOD | {"audio": "../out.wav"}, r"audio: '\.\./out\.wav' must be a path relative"),
    (GOOD | {"audio": "/out.wav"}, "audio: '/out.wav' must be a path relative"),
    (GOOD | {"audio": "a\0.wav"}, "audio: .* must be a path relative"),
    (GOOD | {"image": "link.png"}, r"image: 'link\.png' is a link that leaves"),
    (GOOD | {"video": "in.png", "image": "in.png"}, "image: an example has either"),
    (GOOD | {"id": "first"}, "id: 'first' is already that of line 1"),
]


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_a_bad_line_is_reported_with_file_line_and_reason(tmp_path: Path, line: object, reason: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "folder").mkdir()
    (folder / "empty.wav").touch()
    (folder / "in.png").write_bytes(b"media")
    (tmp_path / "out.png").write_bytes(b"media")
    (tmp_path / "out.wav").write_bytes(b"media")
    (folder / "link.png").symlink_to("../out.png")
    write_index(folder, GOOD | {"id": "first"}, line)
    with pytest.raises(BadDataError, match=rf"index\.jsonl:2: {reason}") as error:
        read_dataset(folder)
    assert "\n" not in str(error.value)
    skipped = read_dataset(folder, skip_bad=True)
    assert [example.id for example in skipped.examples] == ["first"]
    assert skipped.skipped == (str(error.value),)


def test_an_index_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "index.jsonl")
    with pytest.raises(BadDataError, match=r"index\.jsonl: .*not a regular file"):
        read_dataset(tmp_path)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"media")
    (tmp_path / "b.png").symlink_to("a.png")
    linked = tmp_path.parent / f"{tmp_path.name}-link"
    linked.symlink_to(tmp_path)
    write_index(tmp_path, GOOD | {"image": "b.png"})
    assert read_dataset(linked).examples[0].value("image") == linked / "b.png"


def test_no_index_and_no_good_line_are_reported(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"index\.jsonl: .*No such file"):
        read_dataset(tmp_path)
    write_index(tmp_path, "")
    with pytest.raises(BadDataError, match="no good example"):
        read_dataset(tmp_path)
    write_index(tmp_path, "{")
    with pytest.raises(BadDataError, match=r"index\.jsonl:1: not JSON"):
        read_dataset(tmp_path, skip_bad=True)
