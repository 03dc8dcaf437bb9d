"""`sensemble data prepare` and `data show`, run like a user on published media."""

import json
import re
import shutil
from pathlib import Path

import pytest
from sensemble_apps.cli import main

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
