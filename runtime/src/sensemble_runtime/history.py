"""What a record holds, read back: its runs, their predictions and their answers."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.errors import RecordError
from sensemble_runtime.manifest import Task
from sensemble_runtime.records import Answer
from sensemble_runtime.schema import OLDER, SCHEMA, Kind, reported, version
from sensemble_runtime.scores import SubsetScore

_GIVE = "give the file that a session or an audit recorded"


@dataclass(frozen=True, slots=True)
class Run:
    """One session or audit.

    Attributes:
        id: its number in the file.
        kind: `session` or `audit`.
        began: seconds since 1970.
        ended: seconds since 1970; None if it was interrupted or still runs.
        bundle: the SHA-256 of the bundle's `manifest.json`, which itself names that of every file.
        labels: the classes, in the order of all probabilities of the run.
        task: `multi-class` or `multi-label`.
        dataset: what was audited, as the auditor named it.
        split: of which split the examples were, or of which, joined with `+`; None of a session, and where
            the record is of schema version 4.
        scores: of an audit that ended, by subset.
    """

    id: int
    kind: Kind
    began: float
    ended: float | None
    bundle: str
    labels: tuple[str, ...]
    task: Task
    dataset: str | None
    split: str | None
    scores: dict[str, SubsetScore]


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPrediction:
    """A `Prediction` as it was recorded: `at`, in seconds since 1970; `label`, the most probable class."""

    at: float
    time: float
    live: tuple[str, ...]
    label: str
    probabilities: NDArray[np.float32]
    ages: dict[str, float]
    latencies: dict[str, float]
    dropped: dict[str, int]
    skipped: dict[str, int]
    lost: dict[str, int]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """What a session told: `at`, in seconds since 1970; the rest as `events.told` has it."""

    at: float
    time: float
    name: str
    modality: str
    kind: str
    reason: str


def read_runs(path: Path) -> list[Run]:
    """Return the runs of a record, oldest first; it may be open for writing elsewhere.

    Raises:
        RecordError: there is no such file, it cannot be read, or it is of an unknown schema version.
    """
    with _reading(path) as db:
        scores: dict[int, dict[str, SubsetScore]] = {}
        for run, subset, accuracy, n in db.execute("SELECT * FROM scores ORDER BY rowid"):
            scores.setdefault(run, {})[subset] = SubsetScore(accuracy, n)
        return [
            Run(run, kind, began, ended, bundle, _names(labels), task, dataset, split, scores.get(run, {}))
            for run, kind, began, ended, bundle, labels, task, dataset, split in db.execute(
                "SELECT * FROM runs ORDER BY id"
            )
        ]


def read_predictions(path: Path, run: int) -> list[RecordedPrediction]:
    """Return the predictions of a session, in the order they were made.

    Raises:
        RecordError: as `read_runs`.
    """
    with _reading(path) as db:
        return [
            RecordedPrediction(
                at=at,
                time=when,
                live=tuple(live.split("+")),
                label=label,
                probabilities=_unpack(probabilities),
                ages=json.loads(ages),
                latencies=json.loads(latencies),
                dropped=json.loads(dropped),
                skipped=json.loads(skipped),
                lost=json.loads(lost),
            )
            for (
                _,
                at,
                when,
                live,
                label,
                probabilities,
                ages,
                latencies,
                dropped,
                skipped,
                lost,
            ) in db.execute("SELECT * FROM predictions WHERE run = ? ORDER BY rowid", (run,))
        ]


def read_events(path: Path, run: int) -> list[RecordedEvent]:
    """Return the events of a session, in the order they were told.

    Raises:
        RecordError: as `read_runs`.
    """
    with _reading(path) as db:
        rows = db.execute("SELECT * FROM events WHERE run = ? ORDER BY rowid", (run,))
        return [RecordedEvent(*fields) for _, *fields in rows]


def read_answers(path: Path, run: int) -> list[Answer]:
    """Return the answers of an audit, example by example.

    Raises:
        RecordError: as `read_runs`.
    """
    with _reading(path) as db:
        return [
            Answer(example, line, _names(truth), subset, label, _unpack(probabilities))
            for _, example, line, truth, subset, label, probabilities in db.execute(
                "SELECT * FROM answers WHERE run = ? ORDER BY rowid", (run,)
            )
        ]


def read_moments(path: Path, run: int) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yield, of each prediction of a session, when it was made, in seconds since 1970, and its live set.

    It keeps none of them, as `read_predictions` does, for a session may have run for weeks.

    Raises:
        RecordError: as `read_runs`.
    """
    with _reading(path) as db:
        for at, live in db.execute("SELECT at, live FROM predictions WHERE run = ? ORDER BY rowid", (run,)):
            yield at, tuple(live.split("+"))


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.stat()
    except OSError as error:
        raise RecordError(f"{path}: there is no such file, or none that may be read; {_GIVE}") from error
    with (
        reported(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db,
    ):
        found = version(db, path)
        if found == 0:
            raise RecordError(f"{path}: empty; {_GIVE}")
        if found < SCHEMA:
            db.execute(OLDER)
        yield db


def _unpack(blob: bytes) -> NDArray[np.float32]:
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)


def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
