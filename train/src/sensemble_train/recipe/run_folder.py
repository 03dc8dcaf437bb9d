"""The run folder: what is finished in it, and which of several jobs works on what.

config.json                     what was asked for; another configuration is refused
pretrained/                     a saved model and its training log
models/<method>/<M_T>/          a saved model, its training log, and scores.json: M_E -> score
matrix.json                     method -> M_T -> M_E -> score, of the cells that are finished

`scores.json` and `matrix.json` are of the split `eval`, for reporting; `scores.calibrate.json` and
`matrix.calibrate.json` beside them of `calibrate`, by which to choose a model.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sensemble_runtime.subsets import name
from sensemble_sensors import durable

from sensemble_train.distributed import World
from sensemble_train.models.model import Model, load_model, save_model

SCORED = {"eval": "", "calibrate": ".calibrate"}
"""The splits that every cell is scored on, and what the names of their files have before `.json`."""
_POLL = 1.0  # seconds until a job asks again for what another has

Matrix = dict[str, dict[str, dict[str, float]]]
"""Method -> M_T -> M_E -> score in [0, 1]."""


def cell(out: Path, method: str, train: Sequence[str]) -> Path:
    """Return the folder of one cell of the matrix."""
    return out / "models" / method / name(train)


def finished(folder: Path) -> bool:
    """Say whether a model was trained to its end."""
    return (folder / "weights.safetensors").exists()


def model_of(folder: Path, world: World, make: Callable[[], Model]) -> Model:
    """Return the model of `folder`, made and saved there if it is not there yet."""
    if not world.agree(finished(folder)):
        model = make()
        if world.rank == 0:
            save_model(model, folder)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        world.barrier()
    return load_model(folder)


def write_json(path: Path, value: object) -> None:
    """Write a file that is there as a whole or not at all."""
    durable.write(path, json.dumps(value, indent=1, sort_keys=True).encode())


def scores(folder: Path, split: str) -> Path:
    """Return the file of a cell's scores on one of the splits `SCORED`."""
    return folder / f"scores{SCORED[split]}.json"


def collect(out: Path, methods: Sequence[str], split: str) -> Matrix:
    """Return the scores of all finished cells on a split."""
    found: Matrix = {method: {} for method in methods}
    for method in methods:
        for path in sorted((out / "models" / method).glob(f"*/{scores(out, split).name}")):
            found[method][path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def scored(out: Path, methods: Sequence[str], trained: Sequence[Sequence[str]]) -> bool:
    """Say whether the matrices hold a row of every method for each of the sets `trained`."""
    found = [read_matrix(out, split) if matrix(out, split).exists() else {} for split in SCORED]
    return all(name(t) in rows.get(method, {}) for rows in found for method in methods for t in trained)


def matrix(out: Path, split: str) -> Path:
    """Return the file of a run folder's scores on one of the splits `SCORED`."""
    return out / f"matrix{SCORED[split]}.json"


def read_matrix(out: Path, split: str = "eval") -> Matrix:
    """Read the matrix of a run folder."""
    found: Matrix = json.loads(matrix(out, split).read_text(encoding="utf-8"))["methods"]
    return found


@contextmanager
def claimed(out: Path, what: str, world: World, *, wait: bool) -> Iterator[bool]:
    """Keep other jobs on this run folder from `what` while the block runs; the death of a job gives it back.

    Yields:
        Whether it is ours: without `wait`, it is not where another job has it.
    """
    lock = FileLock(out / "locks" / f"{what}.lock")
    (out / "locks").mkdir(parents=True, exist_ok=True)
    # All ranks ask again together: none may wait in a collective for as long as another job trains.
    while not (ours := world.agree(world.rank == 0 and _acquired(lock))) and wait:
        time.sleep(_POLL)
    try:
        yield ours
    finally:
        lock.release()


def _acquired(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True
