"""Public series sets that ship inside the wheel of `aeon`, as datasets of ours. Its code is not imported."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
