"""The reader of a record: its runs, their predictions, events and answers, each value checked.

Every function raises a RecordError if the file cannot be read, has another schema version, or holds a value
that no session and no audit writes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import printable
from sensemble_sensors.media.content import data_digest
from sensemble_sensors.strict_json import Count, DecodeError, Share, decode, document
from sensemble_sensors.supervision.events import Event

from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.errors import RecordError, SubsetError
from sensemble_runtime.prediction import Answer, Doubt
from sensemble_runtime.record.schema import REMEDY, RunKind, reported, version
from sensemble_runtime.record.writer import RecordedAnswer
from sensemble_runtime.scores import (
    ConditionScore,
    Estimate,
    SparingScore,
    StreamScore,
    SubsetScore,
    UnknownScore,
)

_LARGEST = 1 << 24  # bytes of a value or a row

Seconds = Annotated[float, (-1e11, 1e11)]  # three thousand years
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Run:
    """A session, an audit or an audit of streams."""

    id: int
    kind: RunKind
    began: Seconds  # since 1970
    ended: Seconds | None  # None if it was interrupted or still runs
    bundle: str  # the SHA-256 of its `manifest.json`
    modalities: tuple[str, ...]  # all that the bundle has, sorted
    labels: tuple[str, ...]
    task: Task
    dataset: str | None
    split: str | None  # of an audit, the splits of its examples, joined with `+`
    scores: dict[str, SubsetScore]  # of an audit that ended, by subset
    chance: dict[str, Share]  # the scores of the commonest label
    estimates: dict[str, Estimate]  # `P`, `R`, and the drop without each modality, `drop.audio`


@dataclass(frozen=True, slots=True)
class RecordedOpinion:
    """A recorded `Opinion`: its most probable label if there is evidence, and whether it is sure."""

    label: str | None
    confidence: Share
    sure: bool


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPrediction(Answer):
    """A recorded `Prediction`, with its label, candidates and confidence; `at` is in seconds since 1970."""

    at: Seconds
    time: Seconds
    live: tuple[str, ...]
    probabilities: NDArray[np.float32]
    threshold: Annotated[float, (0, 2)]
    labels: tuple[str, ...]
    doubt: Doubt | None
    opinions: dict[str, RecordedOpinion]
    unfamiliar: tuple[str, ...]
    suspect: str | None
    ages: dict[str, Seconds]
    latencies: dict[str, Seconds]
    dropped: dict[str, Count]
    skipped: dict[str, Count]
    lost: dict[str, Count]


@dataclass(frozen=True, slots=True)
class RecordedEvent(Event):
    """A recorded event, `at` seconds since 1970; `TRIMMED` ones stand for others."""

    at: float = 0.0


def read_runs(path: Path | str) -> list[Run]:
    """Return the runs of a record, oldest first; another process may be writing to it."""
    with _reading(path) as db:
        scores: dict[int, dict[str, SubsetScore]] = {}
        chance: dict[int, dict[str, float]] = {}
        estimates: dict[int, dict[str, Estimate]] = {}
        for row in db.execute("SELECT * FROM scores ORDER BY rowid"):
            subset = subsets.name(_live(row["subset"]))
            scores.setdefault(row["run"], {})[subset] = _made(SubsetScore, row)
            chance.setdefault(row["run"], {})[subset] = _column(Share, row, "chance")
        for row in db.execute("SELECT * FROM estimates ORDER BY rowid"):
            estimates.setdefault(row["run"], {})[_column(str, row, "name")] = _made(Estimate, row)
        numbers = "SELECT *, offset + began AS since_1970, offset + ended AS until FROM runs ORDER BY id"
        return [
            _made(
                Run,
                row,
                began=_column(Seconds, row, "since_1970"),
                ended=_column(Seconds | None, row, "until"),
                scores=scores.get(row["id"], {}),
                chance=chance.get(row["id"], {}),
                estimates=estimates.get(row["id"], {}),
            )
            for row in db.execute(numbers)
        ]


def read_predictions(path: Path | str, run: int) -> list[RecordedPrediction]:
    """Return the predictions of a session, in order."""
    with _reading(path) as db:
        labels = _labels(db, run)
        return [
            _made(
                RecordedPrediction,
                row,
                at=_column(Seconds, row, "since_1970"),
                live=_live(row["live"]),
                probabilities=_unpack(row["probabilities"], len(labels)),
                labels=labels,
            )
            for row in _rows(db, "predictions", run, "predictions.rowid")
        ]


def read_events(path: Path | str, run: int) -> list[RecordedEvent]:
    """Return the events of a session, in order."""
    with _reading(path) as db:
        # By time, because the event in place of removed ones is written last.
        rows = _rows(db, "events", run, "time, events.rowid")
        return [
            RecordedEvent(
                _column(Seconds, row, "time"),
                _column(str, row, "kind"),
                _column(str, row, "modality"),
                _column(str, row, "name"),
                _column(str, row, "reason"),
                _column(str, row, "label"),
                _column(Seconds | None, row, "began"),
                _column(Seconds | None, row, "ended"),
                _column(Share | None, row, "confidence"),
                _column(tuple[str, ...], row, "sensors"),
                at=_column(Seconds, row, "since_1970"),
            )
            for row in rows
        ]


def read_answers(path: Path | str, run: int) -> list[RecordedAnswer]:
    """Return the answers of an audit, example by example."""
    with _reading(path) as db:
        labels = _labels(db, run)
        return [
            _made(
                RecordedAnswer,
                row,
                subset=subsets.name(_live(row["subset"])),
                probabilities=_unpack(row["probabilities"], len(labels)),
            )
            for row in db.execute("SELECT * FROM answers WHERE run = ? ORDER BY rowid", (run,))
        ]


def read_data(path: Path | str, run: int) -> str:
    """Return the SHA-256 of the examples that an audit answered (`data_digest`)."""
    query = "SELECT DISTINCT example, truth, content FROM answers WHERE run = ?"
    with _reading(path) as db:
        return data_digest(
            (
                _column(str, row, "example"),
                _column(tuple[str, ...], row, "truth"),
                _column(str, row, "content"),
            )
            for row in db.execute(query, (run,))
        )


def count_answers(path: Path | str, run: int) -> dict[str, int]:
    """Return the number of an audit's answers by subset."""
    query = "SELECT subset, count(*) AS n FROM answers WHERE run = ? GROUP BY subset"
    with _reading(path) as db:
        return {subsets.name(_live(row["subset"])): row["n"] for row in db.execute(query, (run,))}


def read_conditions(path: Path | str, run: int) -> list[ConditionScore]:
    """Return the scores of an audit under conditions, in the order in which they were measured."""
    with _reading(path) as db:
        rows = db.execute("SELECT * FROM conditions WHERE run = ? ORDER BY rowid", (run,))
        return [
            _made(
                ConditionScore,
                row,
                subset=subsets.name(_live(row["subset"])),
                score=_made(SubsetScore, row),
            )
            for row in rows
        ]


def read_unknown(path: Path | str, run: int) -> list[UnknownScore]:
    """Return the scores of an audit against the unknown, in the order in which they were measured."""
    with _reading(path) as db:
        rows = db.execute("SELECT * FROM unknown WHERE run = ? ORDER BY rowid", (run,))
        return [_made(UnknownScore, row, subset=subsets.name(_live(row["subset"]))) for row in rows]


def read_sparing(path: Path | str, run: int) -> SparingScore | None:
    """Return the score of sparing of an audit; None if it was not measured."""
    return next(_scores(path, "sparing", run, SparingScore), None)


def read_stream_scores(path: Path | str, run: int) -> list[StreamScore]:
    """Return the scores of an audit of streams, in the order in which they were measured."""
    return list(_scores(path, "streams", run, StreamScore))


def _scores(path: Path | str, table: str, run: int, kind: type[Made]) -> Iterator[Made]:
    with _reading(path) as db:
        rows = db.execute(f"SELECT score FROM {table} WHERE run = ? ORDER BY rowid", (run,))  # noqa: S608
        for row in rows:
            try:
                yield decode(kind, document(row["score"]))
            except DecodeError as error:
                raise RecordError(f"{path}: {table}: {error}; {REMEDY}") from error


def same_answers(path: Path | str, run: int, other: int) -> bool:
    """Return whether two audits gave the same answers to the same examples."""
    columns = "example, line, truth, content, subset, label, probabilities, threshold, doubt"
    query = f"SELECT {columns} FROM answers WHERE run = ? EXCEPT SELECT {columns} FROM answers WHERE run = ?"  # noqa: S608 - constants
    with _reading(path) as db:
        return not any(db.execute(query, pair).fetchone() for pair in ((run, other), (other, run)))


def read_moments(path: Path | str, run: int) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yield the time since 1970 and the live set of each prediction, for sessions too long for memory."""
    with _reading(path) as db:
        for row in _rows(db, "predictions", run, "predictions.rowid"):
            yield _column(Seconds, row, "since_1970"), _live(row["live"])


@contextmanager
def _reading(path: Path | str) -> Iterator[sqlite3.Connection]:
    """Open an untrusted record; a `ValueError` that the block raises becomes a `RecordError`."""
    path = Path(path)
    if not (path.is_file() or path.is_dir()):  # a pipe might never give a byte
        raise RecordError(f"{path}: there is no such file, or none that may be read; {REMEDY}")
    try:
        with reported(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
            if version(db, path) == 0:
                raise RecordError(f"{path}: empty; {REMEDY}")
            yield db
    except (ValueError, IndexError, RecursionError, SubsetError) as error:  # IndexError: a column is missing
        raise RecordError(f"{path}: was not written by a session or an audit ({error}); {REMEDY}") from error


def _rows(db: sqlite3.Connection, table: str, run: int, order: str) -> Iterator[sqlite3.Row]:
    return db.execute(
        f"SELECT {table}.*, offset + at AS since_1970 FROM {table} JOIN runs ON id = run "  # noqa: S608
        f"WHERE run = ? ORDER BY {order}",
        (run,),
    )


def _labels(db: sqlite3.Connection, run: int) -> tuple[str, ...]:
    row = db.execute("SELECT labels FROM runs WHERE id = ?", (run,)).fetchone()
    return _column(tuple[str, ...], row, "labels") if row else ()


def _made(kind: type[Made], row: sqlite3.Row, **given: Any) -> Made:  # noqa: ANN401 - fields of `kind`
    """Return a dataclass of a row's columns, each checked as its field says, and of the `given` fields."""
    hints = get_type_hints(kind, include_extras=True)
    columns = {name: _column(hint, row, name) for name, hint in hints.items() if name not in given}
    return kind(**columns, **given)


def _column(hint: Any, row: sqlite3.Row, name: str) -> Any:  # noqa: ANN401 - a type, and a value of it
    value = row[name]
    if isinstance(value, str):
        value = printable(value)
        if get_origin(hint) in (tuple, dict):
            value = document(value)
    return decode(hint, value, name)


def _live(value: object) -> tuple[str, ...]:
    return subsets.parse(str(value))


def _unpack(blob: object, count: int) -> NDArray[np.float32]:
    if isinstance(blob, bytes) and len(blob) == 4 * count > 0:
        probabilities = np.frombuffer(blob, dtype="<f4").astype(np.float32)
        if np.all((probabilities >= 0) & (probabilities <= 1)):
            return probabilities
    raise ValueError(f"must be {count} probabilities, got {blob!r:.40}")
