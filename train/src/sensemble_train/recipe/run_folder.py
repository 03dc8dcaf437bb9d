"""The run folder: its files, what is finished, and the locks by which several jobs share the work.

config.json                     the configuration; another one is refused
pretrained/                     a saved model and its training log
models/probe/<M_T>/             a saved model, the start of every method
models/<method>/<M_T>/          a saved model, its training log, scores.json: M_E -> score, and
                                intervals.json: M_E -> the score's 95 % interval, its examples, and chance
specialists/<modality>/         the same, trained on its labels alone
matrix.json                     method -> M_T -> M_E -> score, of the finished cells; and their intervals

`scores.json` and `matrix.json` are of the split `eval`, for reporting; `scores.calibrate.json` and
`matrix.calibrate.json` are of `calibrate`, for choosing a model.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors import durable
from sensemble_sensors.clock import REAL, sleep

from sensemble_train.distributed import World
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.model import Model, save_model

CONFIG = "config.json"
SCORED = {"eval": "", "calibrate": ".calibrate"}  # splits that a cell is scored on -> suffix
_POLL = 1.0  # seconds until a job asks again for a lock that another has

Matrix = dict[str, dict[str, dict[str, float]]]  # method -> M_T -> M_E -> score in [0, 1]


def cell(out: Path, method: str, train: Sequence[str]) -> Path:
    """Return the folder of one cell of the matrix."""
    return out / "models" / method / subset_name(train)


def finished(folder: Path) -> bool:
    """Return whether a folder holds a trained model."""
    return (folder / "weights.safetensors").exists()


def save(model: Model, folder: Path, world: World) -> None:
    """Save a trained model on rank 0, and remove the checkpoints of its training."""
    if world.rank == 0:
        save_model(model, folder)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    world.barrier()


def write_json(path: Path, value: object) -> None:
    """Write a JSON file as a whole or not at all."""
    durable.write(path, json.dumps(value, indent=1, sort_keys=True).encode())


def of_split(folder: Path, what: str, split: str) -> Path:
    """Return the file `scores`, `intervals` or `matrix` of a folder and a split of `SCORED`."""
    return folder / f"{what}{SCORED[split]}.json"


def collect(out: Path, what: str, split: str) -> dict[str, dict[str, Any]]:
    """Return the contents of all finished cells' files `of_split`, by method and M_T."""
    cells: dict[str, dict[str, Any]] = {}
    for path in sorted((out / "models").glob(f"*/*/{of_split(out, what, split).name}")):
        method, train = path.parts[-3:-1]
        cells.setdefault(method, {})[train] = json.loads(path.read_text(encoding="utf-8"))
    return cells


def scored(out: Path, methods: Iterable[str], trained: Sequence[Sequence[str]]) -> bool:
    """Return whether the matrices hold a row of every method for each of the sets `trained`."""
    matrices = [
        read_matrix(out, split) if of_split(out, "matrix", split).exists() else {} for split in SCORED
    ]
    return all(
        subset_name(t) in rows.get(method, {}) for rows in matrices for method in methods for t in trained
    )


def read_matrix(out: Path, split: str = "eval") -> Matrix:
    """Read the matrix of a run folder."""
    matrix: Matrix = json.loads(of_split(out, "matrix", split).read_text(encoding="utf-8"))["methods"]
    return matrix


@contextmanager
def claimed(out: Path, what: str, world: World, *, wait: bool) -> Iterator[bool]:
    """Lock `what` for this job while the block runs; the lock is released if the job dies.

    Yields whether this job has the lock; always True with `wait`.
    """
    lock = FileLock(out / "locks" / f"{what}.lock")
    (out / "locks").mkdir(parents=True, exist_ok=True)
    # All ranks ask again together: a collective would time out while another job trains.
    while not (ours := world.agree(world.rank == 0 and _acquired(lock))) and wait:
        sleep(REAL, _POLL)
    try:
        yield ours
    finally:
        lock.release()


@contextmanager
def removed_if_refused(path: Path | None) -> Iterator[None]:
    """Remove a file if the settings are refused while the block runs: the next ones are others."""
    try:
        yield
    except ConfigurationError:
        if path is not None:
            path.unlink()
        raise


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True
