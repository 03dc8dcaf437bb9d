"""`sensemble data`, run like a user on published media, and odd datasets, trained on or refused in a line."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.cli import main
from sensemble_train.digits import build
from sensemble_train.digits.plan import DigitsConfig

from tests.apps.conftest import Refusal, Sensemble
from tests.train import published  # type: ignore[import-not-found,unused-ignore]


@pytest.fixture(scope="module")
def prepared(sensemble: Sensemble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AudioSet with its index. Read only."""
    source = published.audioset(tmp_path_factory.mktemp("prepared"))
    result = sensemble("data", "prepare", "audioset", source)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[:3] == [
        "pretrain: 2 of 2 (100.0%)",
        "train: 2 of 3 (66.7%)",
        "eval: 2 of 2 (100.0%)",
    ]
    return source


def test_show_counts_what_is_there_and_what_is_missing(here: Sensemble, prepared: Path) -> None:
    result = here("data", "show", prepared, "--check")
    assert result.returncode == 0, result.stderr
    text = result.stdout
    assert "6 good examples, 0 bad lines" in text
    numbers = {name: cells[:4] for name, *cells in map(str.split, filter(str.strip, text.splitlines()))}
    assert numbers["audio+video"] == ["1", "0", "0", "1"]
    assert numbers["text"] == ["1", "0", "0", "2"]  # of the missing
    assert numbers["Speech"] == ["0", "1", "0", "1"]
    assert numbers["groups"] == ["2", "2", "0", "2"]  # the videos that they are cut from
    assert "there is no calibrate" in text


def test_show_names_files_that_several_splits_share(
    dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(dataset_folder, tmp_path / "data"))
    (folder / "eval-one-0.mkv").write_bytes((folder / "train-one-1.mkv").read_bytes())
    assert main(["data", "show", str(folder)]) == 0
    assert "--check also opens their media" in capsys.readouterr().out
    assert main(["data", "show", str(folder), "--check"]) == 2
    output, errors = capsys.readouterr()
    assert "train-one-1.mkv" in output
    assert "files that two splits share: 1" in errors


def test_show_says_why_none_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refusal: Refusal
) -> None:
    line = {"labels": ["a"], "text": "words"}
    lines = [{"id": str(i), "split": split, **line} for i, split in enumerate(("train", "train", "eval"))]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["data", "show", str(tmp_path)]) == 0
    assert "no model is trained on it: 1 label" in capsys.readouterr().out
    assert "1 label; training takes two" in refusal("train", "--data", tmp_path, "--out", tmp_path / "run")


def test_show_counts_groups_and_says_what_makes_calibrate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refusal: Refusal
) -> None:
    lines = [
        {"id": str(i), "split": ("train", "eval")[i % 2], "labels": ["a"], "text": "words"} for i in range(80)
    ]
    lines[0] |= {"group": "anna"}
    lines[2] |= {"group": "anna"}
    lines.append({"id": "noise", "split": "eval", "background": True, "text": "other words"})
    index = tmp_path / "index.jsonl"
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["data", "show", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "calibrate is not in the index: 13 of the 40 examples of train make it" in text
    rows = re.findall(r"^ ?(.+?) +(\d+) +(\d+) +(\d+) +(\d+)", text, re.MULTILINE)
    counts = {name: [int(cell) for cell in cells] for name, *cells in rows}
    assert counts["text"] == [0, 27, 13, 41]
    assert counts["(background)"] == [0, 0, 0, 1]
    assert sum(counts["groups"]) == 1
    assert sum(counts["examples without one"]) == 79
    lines[1] |= {"group": "anna"}
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))
    main(["data", "show", str(tmp_path)])
    assert f"{index}:2: group: 'anna' is in eval here and in train at line 1;" in capsys.readouterr().out
    assert "'anna' is in eval here" in refusal("train", "--data", tmp_path, "--out", tmp_path / "run")


def dataset(folder: Path, classes: Counter[str]) -> Path:
    """Write examples of each class to train on, and one to judge by."""
    draw = np.random.default_rng(0)
    imu = {"kind": "series", "rate": 10, "channels": ["ax", "ay"]}
    (folder / "modalities.json").write_text(json.dumps({"imu": imu}))
    lines = []
    for number, label in enumerate(sorted(classes)):
        for i in range(classes[label] + 1):
            name, split = f"{label}-{i}", "eval" if i == classes[label] else "train"
            rows = "".join(f"{x:.3f},{y:.3f}\n" for x, y in draw.normal(number, 0.3, (10, 2)))
            (folder / f"{name}.csv").write_text(f"ax,ay\n{rows}")
            lines.append({"id": name, "split": split, "labels": [label], "imu": f"{name}.csv"})
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize("classes", [Counter(a=1, b=3), Counter({f"class {i}": 1 for i in range(200)})])
def test_few_examples_and_many_classes_are_trained_on(tmp_path: Path, classes: Counter[str]) -> None:
    folder = dataset(tmp_path, classes)
    assert main(["data", "show", str(folder), "--check"]) == 0
    run = str(folder / "run")
    assert main(["train", "--data", str(folder), "--out", run, "--from-scratch", "--effort", "0.02"]) == 0


@pytest.mark.parametrize("command", [["run", "--fast"], ["serve", "--port", "0"]])
def test_a_dataset_of_other_sensors_is_not_played(
    command: list[str], bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`serve` played it again and again, in no time, and took a whole core."""
    folder = dataset(tmp_path, Counter(a=1))
    assert main([*command, str(bundle_folder), "--replay", str(folder)]) == 2
    (line,) = (one for one in capsys.readouterr().err.splitlines() if one.startswith("sensemble: "))
    assert f"{folder}: has imu, and the bundle takes " in line


def test_show_counts_the_hours_and_the_spans_of_streams(
    dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(dataset_folder, tmp_path / "data"))
    stream = {
        "id": "s",
        "split": "eval",
        "audio": "eval-one-0.mkv",
        "spans": [[0, 0.5, "one"], [1, 9, "two"]],
    }
    (folder / "streams.jsonl").write_text(json.dumps(stream) + "\n")
    assert main(["data", "show", str(folder)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.partition("Streams")[2].splitlines()]
    assert ["streams", "0", "0", "1"] in rows
    assert ["two", "0", "0", "1"] in rows
    assert main(["data", "show", str(folder), "--check"]) == 2
    assert "streams.jsonl:1: spans: two ends at 9 s" in capsys.readouterr().out


def test_hours_of_streams_are_built_where_minutes_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = list[tuple[Path, DigitsConfig]]()

    def note(folder: Path, config: DigitsConfig, _: object) -> Path:
        asked.append((folder, config))
        return tmp_path

    monkeypatch.setattr(build, "build", note)
    assert main(["data", "build"]) == main(["data", "build", "--stream-minutes", "90"]) == 0
    (usual, default), (folder, hours) = asked
    assert default == DigitsConfig()
    assert dict(hours.streams) == {"train": 240, "calibrate": 5400, "eval": 5400}
    assert folder != usual
    for minutes in ("0", "1.5", "601"):
        assert main(["data", "build", "--stream-minutes", minutes]) == 2
        assert "a whole number of minutes from 1 to 600" in capsys.readouterr().err
