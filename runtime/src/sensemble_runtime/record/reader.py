"""What a record holds, read back: its runs, their predictions and their answers."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.errors import RecordError, SubsetError
from sensemble_runtime.record.schema import Kind, reported, version
from sensemble_runtime.record.writer import Answer
from sensemble_runtime.subsets import SubsetScore

_GIVE = "give the file that a session or an audit recorded"
_FAR = 1e11  # seconds, three thousand years
_LARGEST = 1 << 24  # bytes of a value or a row

Word = TypeVar("Word", bound=str)
Amount = TypeVar("Amount", int, float)


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
    """What a session told: `at`, in seconds since 1970; the rest as `events.told` has it.

    The kind `retention.TRIMMED` stands for what was removed; nothing before it is left.
    """

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
            score = SubsetScore(_number(accuracy, 0, 1), _count(n))
            scores.setdefault(_count(run), {})[subsets.name(_live(subset))] = score
        return [
            Run(
                id=_count(run),
                kind=_one_of(kind, get_args(Kind)),
                began=_moment(began),
                ended=None if ended is None else _moment(ended),
                bundle=_text(bundle),
                labels=_names(labels),
                task=_one_of(task, get_args(Task)),
                dataset=None if dataset is None else _text(dataset),
                split=None if split is None else _text(split),
                scores=scores.get(run, {}),
            )
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
                at=_moment(at),
                time=_number(when),
                live=_live(live),
                label=_text(label),
                probabilities=_unpack(probabilities),
                ages=_by_modality(ages, _number),
                latencies=_by_modality(latencies, _number),
                dropped=_by_modality(dropped, _count),
                skipped=_by_modality(skipped, _count),
                lost=_by_modality(lost, _count),
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
        # By time, for what stands for removed ones is written after what is left.
        rows = db.execute("SELECT * FROM events WHERE run = ? ORDER BY time, rowid", (run,))
        return [RecordedEvent(_moment(at), _number(when), *map(_text, texts)) for _, at, when, *texts in rows]


def read_answers(path: Path, run: int) -> list[Answer]:
    """Return the answers of an audit, example by example.

    Raises:
        RecordError: as `read_runs`.
    """
    with _reading(path) as db:
        return [
            Answer(
                _text(example),
                _count(line),
                _names(truth),
                subsets.name(_live(subset)),
                _text(label),
                _unpack(probabilities),
            )
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
            yield _moment(at), _live(live)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a record; whatever in it no session and no audit wrote is a `RecordError` of the block."""
    if not (path.is_file() or path.is_dir()):  # a pipe might never give a byte
        raise RecordError(f"{path}: there is no such file, or none that may be read; {_GIVE}")
    try:
        with (
            reported(path),
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db,
        ):
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
            if version(db, path) == 0:
                raise RecordError(f"{path}: empty; {_GIVE}")
            _check_plain(db)
            yield db
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: holds what no session and no audit wrote ({error}); {_GIVE}") from error


def _check_plain(db: sqlite3.Connection) -> None:
    """See that reading a table only reads it: a view may compute for ever."""
    query = "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')"
    (others,) = db.execute(query).fetchone()
    if others:
        raise ValueError("views or triggers")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} where a text is")  # noqa: TRY004 - `_reading` knows one error
    return value


def _number(value: object, least: float = -_FAR, most: float = _FAR) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{value!r:.40} where a number from {least:g} to {most:g} is")
    return float(value)


def _moment(value: object) -> float:
    return _number(value, 0)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} where a count is")
    return value


def _one_of(value: object, known: Sequence[Word]) -> Word:
    found = next((word for word in known if word == value), None)
    if found is None:
        raise ValueError(f"{value!r:.40} where {' or '.join(known)} is")
    return found


def _live(value: object) -> tuple[str, ...]:
    try:
        return subsets.parse(_text(value))
    except SubsetError as error:
        raise ValueError(str(error)) from error


def _unpack(blob: object) -> NDArray[np.float32]:
    if not isinstance(blob, bytes):
        raise ValueError(f"{blob!r:.40} where probabilities are")  # noqa: TRY004 - as above
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)


def _names(value: object) -> tuple[str, ...]:
    names = json.loads(_text(value))
    if not isinstance(names, list):
        raise ValueError(f"{names!r:.40} where a list is")  # noqa: TRY004 - as above
    return tuple(map(_text, names))


def _by_modality(value: object, read: Callable[[object], Amount]) -> dict[str, Amount]:
    entries = json.loads(_text(value))
    if not isinstance(entries, dict):
        raise ValueError(f"{entries!r:.40} where an object is")  # noqa: TRY004 - as above
    return {modality: read(entry) for modality, entry in entries.items()}
