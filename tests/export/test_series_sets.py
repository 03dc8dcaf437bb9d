"""A public series set, out of the wheel of `aeon`, is learned by the commands, and int8 keeps it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_apps.tables.audits import audits
from sensemble_runtime import Bundle
from sensemble_train.recipe.run_folder import read_matrix

from tests.apps.conftest import whole_way
from tests.needs import SERIES_SETS

CHANNELS = {
    "BasicMotions": ("ax", "ay", "az", "gx", "gy", "gz"),
    "JapaneseVowels": tuple(f"c{i}" for i in range(1, 13)),
    "PickupGestureWiimoteZ": ("az",),
}
RATES = {"BasicMotions": 10.0, "JapaneseVowels": 156.25, "PickupGestureWiimoteZ": 100.0}
"""Rows a second, as the sets' authors state them; of the Wiimote, as it usually is."""


def convert(name: str, folder: Path) -> Path:
    """Write a set, its training half as `train` and its test half as `eval`, into `folder`; return it."""
    source = SERIES_SETS / name
    (folder / "media").mkdir(parents=True)
    lines = []
    for half, split in (("TRAIN", "train"), ("TEST", "eval")):
        for number, (rows, label) in enumerate(examples(source / f"{name}_{half}.ts")):
            path = f"media/{split}-{number:04d}.csv"
            write_csv(folder / path, CHANNELS[name], rows)
            example = {"id": f"{split}-{number:04d}", "split": split, "labels": [label], "imu": path}
            lines.append(json.dumps(example) + "\n")
    (folder / "index.jsonl").write_text("".join(lines))
    declared = {"kind": "series", "rate": RATES[name], "channels": CHANNELS[name]}
    (folder / "modalities.json").write_text(json.dumps({"imu": declared}))
    return folder


def examples(path: Path) -> Iterator[tuple[NDArray[np.float64], str]]:
    """Yield the rows [n, C] and the label of each example of a file."""
    _, _, data = path.read_text().partition("@data\n")
    for line in data.splitlines():
        *channels, label = line.split(":")
        yield np.array([channel.split(",") for channel in channels], float).T, label.strip()


def write_csv(path: Path, channels: Sequence[str], rows: NDArray[np.float64]) -> None:
    """Write rows as CSV with a header."""
    lines = [",".join(channels), *(",".join(map(str, row)) for row in rows.tolist())]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.real
@pytest.mark.needs("aeon")
def test_a_set_is_learned_by_the_commands(tmp_path: Path) -> None:
    data, run = convert("BasicMotions", tmp_path / "data"), tmp_path / "run"
    whole_way(data, run, "--effort", "0.4")
    score = read_matrix(run)["subset"]["imu"]["imu"]
    assert score >= 0.95
    assert audits(run).scores["imu"].accuracy == pytest.approx(score, abs=0.01)
    bundle = Bundle.open(run / "bundle")
    assert bundle.specs["imu"].shape == (1, 100, 6)
    artifact = bundle.manifest.modalities["imu"].artifacts["executorch-xnnpack"]
    assert artifact.scheme.startswith("int8")
    lowered = json.loads((run / "bundle" / "lowering.json").read_text())
    assert all(one["subgraphs"] == 1 and not one["not_delegated"] for one in lowered.values())
    assert lowered
