"""Examples of one group are in one split, and `calibrate` is drawn from `train`, never from `eval`."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.leaks import Leak, leaks
from sensemble_sensors.media.splits import MIN_TRAIN, SITTING, draw

from tests.sensors.studio import example, write_index


def write(folder: Path, lines: list[dict[str, object]]) -> Path:
    return write_index(folder, *lines, split="train", labels=["one"], text="a caption")


@pytest.mark.parametrize(
    ("one", "other"), [("train", "eval"), ("calibrate", "eval"), ("train", "calibrate"), ("pretrain", "eval")]
)
def test_a_group_in_two_splits_is_a_bad_line(one: str, other: str, tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [{"split": one, "group": "anna"}, {"split": other, "group": "anna"}]
    held = "train" if one == "pretrain" else one
    with pytest.raises(
        BadDataError,
        match=rf"index\.jsonl:2: group: 'anna' .*{other} .*{held} .*1;",
    ):
        read_dataset(write(tmp_path, lines))
    kept = read_dataset(tmp_path, skip_bad=True)
    assert [e.group for e in kept.examples] == ["anna"]


def test_what_is_unlabelled_or_trained_on_may_share_its_group(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"split": "eval", "group": "anna"},
        {"split": "pretrain", "group": "anna", "labels": []},
        {"split": "train", "group": "bo"},
        {"split": "pretrain", "group": "bo"},
        {"split": "eval"},
        {"split": "train"},
    ]
    assert len(read_dataset(write(tmp_path, lines)).examples) == 6


def test_backgrounds_keep_to_the_split_of_their_group(tmp_path: Path) -> None:
    background: dict[str, object] = {"labels": [], "background": True, "group": "anna"}
    lines = [{"split": "pretrain"} | background, {"split": "train"} | background]
    assert len(read_dataset(write(tmp_path, lines)).background("train")) == 1
    with pytest.raises(BadDataError, match=r"index\.jsonl:3: group: 'anna' "):
        read_dataset(write(tmp_path, [*lines, {"split": "eval", "group": "anna"}]))


def test_a_tenth_of_the_backgrounds_is_drawn_beside_the_labelled_and_none_alone() -> None:
    known = [example(i) for i in range(200)]
    noise = [example(i, label="", background=True) for i in range(200, 280)]
    chosen = draw([*known, *noise])
    assert len(chosen) == 28
    assert {e.id for e in noise} & chosen
    assert {e.id for e in known} & chosen
    assert draw([*known[: MIN_TRAIN - 1], *noise]) == frozenset()
    assert draw([*known, *(replace(e, split="calibrate") for e in noise)]) < {e.id for e in known}


def test_a_group_is_a_name_or_several(tmp_path: Path) -> None:
    for group in (" ", 3, [3], [""], ["a", "a"]):
        with pytest.raises(BadDataError, match="group"):
            read_dataset(write(tmp_path, [{"group": group}]))
    (both,) = read_dataset(write(tmp_path, [{"group": ["anna", "sheet 3"]}])).examples
    assert (both.group, both.groups) == ("anna", ("anna", "sheet 3"))
    (turned,) = read_dataset(write(tmp_path, [{"group": ["sheet 3", "anna"]}])).examples
    assert turned.groups == both.groups, "the order means nothing"
    for person in ("anna", "zoe"):
        (taken,) = read_dataset(write(tmp_path, [{"group": ["take 3", person]}])).examples
        assert taken.group == person, "nor does the alphabet"
    lines: list[dict[str, object]] = [
        {"group": ["anna", "sheet 3"]},
        {"split": "eval", "group": ["bo", "sheet 3"]},
    ]
    with pytest.raises(BadDataError, match="group: 'sheet 3' is in eval here"):
        read_dataset(write(tmp_path, lines))


def test_examples_that_share_a_file_are_drawn_together(tmp_path: Path) -> None:
    """Pictures that are each described in five languages, as in Multi30K."""
    for i in range(60):
        (tmp_path / f"{i}.jpg").write_bytes(b"media")
    lines: list[dict[str, object]] = [
        {"image": f"{i % 60}.jpg", "labels": [("one", "two")[i % 2]], "text": f"words {i}"}
        for i in range(300)
    ]
    dataset = read_dataset(write(tmp_path, lines))
    pictures = [{e.values["image"] for e in dataset.split(name)} for name in ("train", "calibrate")]
    assert list(map(len, pictures)) == [41, 19]
    assert not pictures[0] & pictures[1]
    assert dataset.examples[0].groups == ("0.jpg",)


def test_shared_files_connect_and_an_explicit_group_says_otherwise(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / f"{name}.wav").write_bytes(b"media")
        (tmp_path / f"{name}.mp4").write_bytes(b"media")
    lines: list[dict[str, object]] = [
        {"audio": "a.wav", "video": "a.mp4"},
        {"audio": "a.wav", "video": "b.mp4"},
        {"audio": "b.wav", "video": "b.mp4"},
        {"audio": "c.wav", "group": "morning"},
        {"audio": "c.wav", "group": "evening", "split": "eval"},
        {"audio": "c.wav", "video": "c.mp4"},
        {"audio": "d.wav", "video": "d.mp4"},
    ]
    examples = read_dataset(write(tmp_path, lines)).examples
    films, both = [("a.mp4",)] * 3, [("morning",), ("evening",), ("morning",)]
    assert [e.groups for e in examples] == [*films, *both, ()]
    named: list[str | None] = ["morning", "evening", "morning"]
    assert [e.person for e in examples] == [None, None, None, *named, None], "no file names a person"


def test_groups_that_share_an_example_are_one_person_and_takes_of_a_sitting_are_one(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"group": "take 1"},
        {"group": "take 2"},
        {"group": ["take 3", "anna"]},
        {"group": "take 3"},
        {"group": ["bo", "monday"]},
        {"group": ["monday", "cleo"]},
        {"group": "take three"},
        {},
    ]
    expected = [SITTING, SITTING, "anna", "anna", "bo", "bo", "take three", None]
    assert [e.person for e in read_dataset(write(tmp_path, lines)).examples] == expected


def test_what_is_held_out_is_not_pretrained_on(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"media")
    lines: list[dict[str, object]] = [
        {"video": "film.mp4", "split": "eval", "end": 5},
        {"video": "film.mp4", "split": "pretrain", "labels": [], "start": 5},
        {"group": "anna", "split": "calibrate"},
        {"group": "anna", "split": "pretrain", "labels": []},
        {"group": "bo"},
        {"group": "bo", "split": "pretrain", "labels": []},
    ]
    dataset = read_dataset(write(tmp_path, lines))
    assert [e.id for e in dataset.split("pretrain")] == ["6"]
    assert len(dataset.examples) == 6, "a replay plays all"


def test_no_group_of_several_is_split_by_a_draw() -> None:
    examples = [example(i, f"person {i % 30}", f"sheet {i % 30 // 3}") for i in range(90)]
    drawn = draw(examples)
    assert len(drawn) == 27, "three sheets of ten"
    for one in range(2):
        sides = {(e.groups[one], e.id in drawn) for e in examples}
        assert len(sides) == len({name for name, _ in sides})


def test_calibrate_is_drawn_from_train_where_the_index_has_none(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [{"labels": [("one", "two")[i % 2]]} for i in range(60)]
    lines += [{"split": "eval"} for _ in range(40)]
    dataset = read_dataset(write(tmp_path, lines))
    assert dataset.drawn
    assert [len(dataset.split(name)) for name in ("train", "calibrate", "eval")] == [41, 19, 40]
    assert {e.labels for e in dataset.selection} == {("one",), ("two",)}
    assert {e.id for e in dataset.selection} <= {str(i) for i in range(1, 61)}
    assert [e.line for e in dataset.examples] == list(range(1, 101)), "the order is the index's"
    lines[0]["split"] = "calibrate"
    given = read_dataset(write(tmp_path, lines))
    assert not given.drawn
    assert [e.id for e in given.selection] == ["1"]


def test_a_train_that_is_too_small_stays_whole_and_is_selected_on(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [{} for _ in range(MIN_TRAIN - 1)] + [{"split": "eval"}] * 30
    lines = [{**line, "id": str(i)} for i, line in enumerate(lines)]
    dataset = read_dataset(write(tmp_path, lines))
    assert not dataset.drawn
    assert dataset.split("calibrate") == ()
    assert dataset.selection == dataset.split("train")
    assert len(dataset.selection) == MIN_TRAIN - 1
    # Many examples of few recordings are as few as the recordings.
    few: list[dict[str, object]] = [{"group": f"take {i % 3}"} for i in range(90)]
    assert not read_dataset(write(tmp_path, few)).drawn


@pytest.mark.parametrize(("people", "drawn"), [(3, 0), (6, 2), (15, 5), (60, 19), (100, 19), (300, 30)])
def test_a_small_train_gives_up_to_a_third_of_its_people_for_what_a_promise_needs(
    people: int, drawn: int
) -> None:
    examples = [
        example(i, f"person {i % people}", label=f"class {i // people % 5}") for i in range(people * 30)
    ]
    assert len(draw(examples)) == drawn * 30


def test_a_group_that_is_pretrained_on_with_labels_is_not_drawn() -> None:
    train = [example(i, f"group {i}") for i in range(40)]
    drawn = draw(train)
    assert len(drawn) == 13
    bound = [example(100 + i, f"group {i}", split="pretrain") for i in range(40) if f"e{i}" in drawn]
    assert not draw([*train, *bound]) & drawn
    free = [example(100 + i, f"group {i}", split="pretrain", label="") for i in range(40)]
    assert draw([*train, *free]) == drawn


GROUPED = st.lists(
    st.tuples(st.sampled_from([None, *"abcdefghijklmnop"]), st.sampled_from(["one", "two", "three"])),
    max_size=120,
)


@settings(max_examples=200)
@given(GROUPED, st.randoms(use_true_random=False))
def test_what_is_drawn_is_whole_groups_a_third_at_most_and_leaves_each_label(
    members: list[tuple[str | None, str]], random: Random
) -> None:
    examples = [
        example(i, group, label=label) if group else example(i, label=label)
        for i, (group, label) in enumerate(members)
    ]
    drawn = draw(examples)
    assert len(drawn) <= len(examples) / 3
    for group in {e.group for e in examples} - {None}:
        assert len({e.id in drawn for e in examples if e.group == group}) == 1
    had = Counter(e.labels for e in examples)
    lost = Counter(e.labels for e in examples if e.id in drawn)
    assert all(3 * count <= had[label] for label, count in lost.items())
    shuffled = list(examples)
    random.shuffle(shuffled)
    assert draw(shuffled) == drawn


def test_a_rare_label_is_met_too() -> None:
    examples = [example(i, label="rare" if i < 4 else "common") for i in range(400)]
    drawn = draw(examples)
    assert len(drawn) == 40
    assert sum(f"e{i}" in drawn for i in range(4)) == 1


def found(folder: Path, *lines: dict[str, object]) -> list[Leak]:
    return list(leaks(read_dataset(write_index(folder, *lines, labels=["yes"]))))


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


def test_a_sensor_that_never_changes_is_named_once(one: Path) -> None:
    lines = [
        {"split": split, "labels": [label], "audio": one.name, "text": f"{split} {label}"}
        for split in ("train", "calibrate", "eval")
        for label in ("yes", "no")
    ]
    (leak,) = found(one.parent, *lines)
    assert (leak.text.partition(":")[0], leak.same) == ("audio", False)


def test_parts_of_one_file_are_told_from_the_same_seconds(one: Path) -> None:
    train = {"split": "train", "audio": one.name, "start": 1, "end": 3}
    for start, same in ((3, False), (2.9, True), (0, True)):
        (leak,) = found(
            one.parent,
            train,
            {"split": "eval", "labels": ["no"], "audio": one.name, "start": start, "end": start + 2},
        )
        assert leak.same == same
        assert ("parts of one file" in leak.text) != same
