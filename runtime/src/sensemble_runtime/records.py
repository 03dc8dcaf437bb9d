"""The durable record of sessions and audits: one SQLite file; what is committed survives a power cut.

A run is one session or one audit. A session's run has its predictions; an audit's has the score of each
subset and, for each example and each subset of the modalities it has, the answer. A run without an end was
interrupted: what it holds is good as far as it goes.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle import Bundle
from sensemble_runtime.errors import RecordError
from sensemble_runtime.manifest import FILE_NAME, Task
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.scores import SubsetScore

SCHEMA = 2  # 2: predictions have `skipped`
Kind = Literal["session", "audit"]

_APPLICATION = 0x53454E53  # "SENS", in the file's header
_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('session', 'audit')),
    began REAL NOT NULL,       -- seconds since 1970
    ended REAL,
    bundle TEXT NOT NULL,      -- SHA-256 of its manifest.json
    labels TEXT NOT NULL,      -- JSON list
    task TEXT NOT NULL,
    dataset TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS predictions (
    run INTEGER NOT NULL REFERENCES runs,
    at REAL NOT NULL,          -- seconds since 1970
    time REAL NOT NULL,        -- seconds on the clock of the samples
    live TEXT NOT NULL,
    label TEXT NOT NULL,       -- the most probable
    probabilities BLOB NOT NULL,  -- float32, little-endian, in the order of the run's labels
    ages TEXT NOT NULL,        -- JSON
    latencies TEXT NOT NULL,   -- JSON
    dropped TEXT NOT NULL,     -- JSON
    skipped TEXT NOT NULL      -- JSON
) STRICT;
CREATE INDEX IF NOT EXISTS predictions_of ON predictions (run);
CREATE TABLE IF NOT EXISTS scores (
    run INTEGER NOT NULL REFERENCES runs,
    subset TEXT NOT NULL,
    accuracy REAL NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (run, subset)
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    run INTEGER NOT NULL REFERENCES runs,
    example TEXT NOT NULL,
    line INTEGER NOT NULL,
    truth TEXT NOT NULL,       -- JSON list
    subset TEXT NOT NULL,
    label TEXT NOT NULL,
    probabilities BLOB NOT NULL,
    PRIMARY KEY (run, example, subset)
) STRICT;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {SCHEMA};
COMMIT;
"""


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


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a bundle said of one example from one subset of its modalities.

    Attributes:
        example: its id.
        line: its line in the dataset's index.
        truth: its labels.
        subset: the modalities that were used, joined with `+`.
        label: the most probable class.
        probabilities: float32 [C].
    """

    example: str
    line: int
    truth: tuple[str, ...]
    subset: str
    label: str
    probabilities: NDArray[np.float32]


class Records:
    """A record file, open for adding; each method is one durable commit. For one thread at a time.

    Args:
        path: the file; created if it is not there.

    Raises:
        RecordError: it cannot be opened or written, is no record, or one of another schema version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _reported(path):
            self._db = sqlite3.connect(path, check_same_thread=False)
        try:
            with _reported(path):
                self._prepare()
        except RecordError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._db.close()

    def begin(self, kind: Kind, bundle: Bundle, dataset: str | None = None) -> int:
        """Add a run and return its id.

        Raises:
            RecordError: it could not be written, as in every method.
        """
        manifest = bundle.manifest
        row = (kind, time.time(), fingerprint(bundle), json.dumps(manifest.labels), manifest.task, dataset)
        with _reported(self._path), self._db:
            cursor = self._db.execute(
                "INSERT INTO runs (kind, began, bundle, labels, task, dataset) VALUES (?, ?, ?, ?, ?, ?)", row
            )
        return int(cursor.lastrowid or 0)

    def end(self, run: int) -> None:
        """Mark a run as complete."""
        with _reported(self._path), self._db:
            self._db.execute("UPDATE runs SET ended = ? WHERE id = ?", (time.time(), run))

    def add_predictions(self, run: int, predictions: Iterable[Prediction], labels: tuple[str, ...]) -> None:
        """Add predictions whose times are on the clock of `time.monotonic`."""
        offset = time.time() - time.monotonic()
        rows = [
            (
                run,
                offset + p.time,
                p.time,
                "+".join(p.live),
                labels[int(p.probabilities.argmax())],
                _pack(p.probabilities),
                *(json.dumps(field) for field in (p.ages, p.latencies, p.dropped, p.skipped)),
            )
            for p in predictions
        ]
        with _reported(self._path), self._db:
            self._db.executemany("INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def add_answers(self, run: int, answers: Iterable[Answer]) -> None:
        """Add an audit's answers."""
        rows = [
            (run, a.example, a.line, json.dumps(a.truth), a.subset, a.label, _pack(a.probabilities))
            for a in answers
        ]
        with _reported(self._path), self._db:
            self._db.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def add_scores(self, run: int, scores: Mapping[str, SubsetScore]) -> None:
        """Add an audit's scores, by subset."""
        rows = [(run, subset, score.accuracy, score.n) for subset, score in scores.items()]
        with _reported(self._path), self._db:
            self._db.executemany("INSERT INTO scores VALUES (?, ?, ?, ?)", rows)

    def _prepare(self) -> None:
        if _version(self._db, self._path) == 0:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_TABLES)
        # In WAL mode, the default (NORMAL) may lose the last commits at a power cut.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")


def fingerprint(bundle: Bundle) -> str:
    """Return the SHA-256 of the bundle's `manifest.json`, in hex."""
    return hashlib.sha256((bundle.path / FILE_NAME).read_bytes()).hexdigest()


def read_runs(path: Path) -> list[Run]:
    """Return the runs of a record, oldest first; it may be open for writing elsewhere.

    Raises:
        RecordError: there is no such file, it cannot be read, or it is of another schema version.
    """
    with _reading(path) as db:
        scores: dict[int, dict[str, SubsetScore]] = {}
        for run, subset, accuracy, n in db.execute("SELECT * FROM scores ORDER BY rowid"):
            scores.setdefault(run, {})[subset] = SubsetScore(accuracy, n)
        return [
            Run(run, kind, began, ended, bundle, _names(labels), task, dataset, scores.get(run, {}))
            for run, kind, began, ended, bundle, labels, task, dataset in db.execute(
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
            )
            for _, at, when, live, label, probabilities, ages, latencies, dropped, skipped in db.execute(
                "SELECT * FROM predictions WHERE run = ? ORDER BY rowid", (run,)
            )
        ]


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


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with (
        _reported(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db,
    ):
        if _version(db, path) == 0:
            raise RecordError(f"{path}: empty; give the file that a session or an audit recorded")
        yield db


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise RecordError(
            f"{path}: cannot be used as a record ({error}); it needs a folder that exists and can be written"
        ) from error


def _version(db: sqlite3.Connection, path: Path) -> int:
    """Return the schema version, 0 of an empty file; refuse another one's file or version."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application, version) == (_APPLICATION, SCHEMA) or (application, version, tables) == (0, 0, 0):
        return int(version)
    if application == _APPLICATION:
        raise RecordError(
            f"{path}: a record of schema version {version}, not {SCHEMA} as here; name another file"
        )
    raise RecordError(f"{path}: another program's database; name another file")


def _pack(probabilities: NDArray[np.float32]) -> bytes:
    return probabilities.astype("<f4").tobytes()


def _unpack(blob: bytes) -> NDArray[np.float32]:
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)


def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
