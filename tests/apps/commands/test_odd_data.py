"""Odd datasets are trained on, or refused in a line before training; `data show --check` says the same."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.cli import main


def dataset(folder: Path, classes: Counter[str], odd: str = "") -> Path:
    """Write examples of each class to train on, and one to judge by; the first has the contents `odd`."""
    draw = np.random.default_rng(0)
    imu = {"kind": "series", "rate": 10, "channels": ["ax", "ay"]}
    (folder / "modalities.json").write_text(json.dumps({"imu": imu}))
    lines = []
    for number, label in enumerate(sorted(classes)):
        for i in range(classes[label] + 1):
            name, split = f"{label}-{i}", "eval" if i == classes[label] else "train"
            rows = "".join(f"{x:.3f},{y:.3f}\n" for x, y in draw.normal(number, 0.3, (10, 2)))
            (folder / f"{name}.csv").write_text(odd if odd and not lines else f"ax,ay\n{rows}")
            lines.append({"id": name, "split": split, "labels": [label], "imu": f"{name}.csv"})
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def arguments(folder: Path) -> list[str]:
    return [
        "train", "--data", str(folder), "--out", str(folder / "run"), "--from-scratch", "--effort", "0.02",
    ]  # fmt: skip


@pytest.mark.parametrize("classes", [Counter(a=1, b=3), Counter({f"class {i}": 1 for i in range(200)})])
def test_few_examples_and_many_classes_are_trained_on(tmp_path: Path, classes: Counter[str]) -> None:
    folder = dataset(tmp_path, classes)
    assert main(["data", "show", str(folder), "--check"]) == 0
    assert main(arguments(folder)) == 0


@pytest.mark.parametrize("command", [["run", "--fast"], ["serve"]])
def test_a_dataset_of_other_sensors_is_not_played(
    command: list[str], bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`serve` played it again and again, in no time, and took a whole core."""
    folder = dataset(tmp_path, Counter(a=1))
    assert main([*command, str(bundle_folder), "--replay", str(folder)]) == 2
    (line,) = (one for one in capsys.readouterr().err.splitlines() if one.startswith("sensemble: "))
    assert f"{folder}: has imu, and the bundle takes " in line
