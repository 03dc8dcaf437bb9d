import json
from pathlib import Path

from sensemble_runtime.auditing.intervals import wilson
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_sensors.media.splits import PROMISED
from sensemble_train.data.trainable import enough, shortages


def dataset(
    unlabelled: int, per_label: dict[str, int], evaluated: int, calibrated: int = PROMISED
) -> Dataset:
    """Return captions, each alone."""
    splits = [("pretrain", ())] * unlabelled + [("calibrate", ("one",))] * calibrated
    splits += [("train", (label,)) for label, count in per_label.items() for _ in range(count)]
    splits += [("eval", ("one",))] * evaluated
    texts = {"text": "hm"}
    examples = (
        Example(f"{i}", s, names, texts, line=i, person=f"{i}") for i, (s, names) in enumerate(splits)
    )
    return Dataset(Path("x"), tuple(examples))


def test_a_dataset_too_small_is_told_for_what() -> None:
    small = dataset(2, {"one": 40, "two": 3}, 13, 5)
    parts = (
        ("45 clips have all of text", "record 55 clips"),
        ("1 of 2 labels", "3 of two (record 7 examples)"),
        ("calibrate has 5 of the 19 people", "takes: record 14 more"),
        ("eval has 13 examples", "26 to 74 %; 80 more examples"),
    )
    for told, words in zip(shortages(small), parts, strict=True):
        assert all(word in told for word in words)
    assert len(list(shortages(small, from_scratch=False))) == 3
    assert list(shortages(dataset(100, {"one": 40, "two": 40}, 93))) == []


def test_enough_is_where_no_interval_is_wide() -> None:
    for n, wide in ((enough(), False), (enough() - 1, True)):
        low, high = wilson(n / 2, n)
        assert (high - low > 0.2) == wide


def test_more_is_said_in_minutes_and_in_takes(tmp_path: Path) -> None:
    lines = [
        {"id": f"{label}{i}", "split": "train", "labels": [label], "text": "t", "start": 1.0, "end": 6.0}
        | {"group": f"take {i // 3}{label}"}
        for label, count in (("one", 12), ("two", 4))
        for i in range(count)
    ]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pretraining, labels, calibrate = shortages(read_dataset(tmp_path))
    assert "16 clips" in pretraining
    assert "100 would do: record 7 minutes of anything" in pretraining
    assert "4 of two (record 3 takes)" in labels
    assert "train, 16 examples in 6 groups (people, recordings), is too small to make it" in calibrate


def test_one_long_film_is_one_group_and_what_is_held_out_of_it_is_not_pretrained_on(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"media")
    lines = [
        {"id": f"{i}", "split": "train", "labels": ["one"], "video": "film.mp4", "start": i, "end": i + 1}
        for i in range(200)
    ]
    lines += [{"id": "e", "split": "eval", "labels": ["one"], "text": "t", "group": "anna"}]
    lines += [{"id": "p", "split": "pretrain", "text": "t", "group": "anna"}]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pretrained, calibrate, _ = shortages(read_dataset(tmp_path), from_scratch=False)
    assert pretrained.startswith("1 unlabelled example of a group")
    assert "200 examples in 1 group (people, recordings), is too small" in calibrate
