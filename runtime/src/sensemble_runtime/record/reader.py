"""Reading a record: its runs, their predictions, events and answers, each value checked.

Every function raises a RecordError where the file cannot be read, has another schema version, or holds a
value that no session and no audit writes.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import printable
from sensemble_sensors.lines import checked

from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.errors import RecordError, SubsetError
from sensemble_runtime.prediction import Answer, Doubt
from sensemble_runtime.record.schema import REMEDY, Kind, reported, version
from sensemble_runtime.record.writer import RecordedAnswer
from sensemble_runtime.subsets import ConditionScore, Estimate, SubsetScore

_LARGEST = 1 << 24  # bytes of a value or a row
_FAR = 1e11  # seconds, three thousand years

Word = TypeVar("Word", bound=str)
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Run:
    """A session or audit.

    Attributes:
        began: seconds since 1970.
        ended: likewise; None if it was interrupted or still runs.
        bundle: the SHA-256 of the bundle's `manifest.json`.
        split: the splits of the audited examples, joined with `+`.
        scores: of an audit that ended, by subset, as is `chance`, the score of the commonest label.
        estimates: `P`, `R`, and the drop without each modality, `drop.audio`.
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
    chance: dict[str, float]
    estimates: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class RecordedOpinion:
    """A recorded `Opinion`: its most probable label if there is evidence, and whether it is sure."""

    label: str | None
    confidence: float
    sure: bool


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPrediction(Answer):
    """A recorded `Prediction`, with its label, candidates and confidence; `at` is in seconds since 1970."""

    at: float
    time: float
    live: tuple[str, ...]
    probabilities: NDArray[np.float32]
    least: float
    labels: tuple[str, ...]
    doubt: Doubt | None
    opinions: dict[str, RecordedOpinion]
    unfamiliar: tuple[str, ...]
    suspect: str | None
    ages: dict[str, float]
    latencies: dict[str, float]
    dropped: dict[str, int]
    skipped: dict[str, int]
    lost: dict[str, int]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A recorded event (`events.fields_of`), `at` seconds since 1970; `TRIMMED` ones stand for others."""

    at: float
    time: float
    name: str
    modality: str
    kind: str
    reason: str


def read_runs(path: Path | str) -> list[Run]:
    """Return the runs of a record, oldest first; another process may be writing to it."""
    with _reading(path) as db:
        scores: dict[int, dict[str, SubsetScore]] = {}
        chance: dict[int, dict[str, float]] = {}
        estimates: dict[int, dict[str, Estimate]] = {}
        for row in db.execute("SELECT * FROM scores ORDER BY rowid"):
            run, subset = _count(row["run"]), subsets.name(_live(row["subset"]))
            scores.setdefault(run, {})[subset] = _score(row)
            chance.setdefault(run, {})[subset] = _number(row["chance"], 0, 1)
        for row in db.execute("SELECT * FROM estimates ORDER BY rowid"):
            value, low, high = (_number(row[column], -1, 1) for column in ("value", "low", "high"))
            estimates.setdefault(_count(row["run"]), {})[_text(row["name"])] = Estimate(value, low, high)
        return [
            Run(
                id=_count(row["id"]),
                kind=_one_of(row["kind"], get_args(Kind)),
                began=_number(row["since_1970"]),
                ended=None if row["ended"] is None else _number(row["until"]),
                bundle=_text(row["bundle"]),
                labels=_names(row["labels"]),
                task=_one_of(row["task"], get_args(Task)),
                dataset=None if row["dataset"] is None else _text(row["dataset"]),
                split=None if row["split"] is None else _text(row["split"]),
                scores=scores.get(row["id"], {}),
                chance=chance.get(row["id"], {}),
                estimates=estimates.get(row["id"], {}),
            )
            for row in db.execute(
                "SELECT *, offset + began AS since_1970, offset + ended AS until FROM runs ORDER BY id"
            )
        ]


def read_predictions(path: Path | str, run: int) -> list[RecordedPrediction]:
    """Return the predictions of a session, in order."""
    with _reading(path) as db:
        labels = _labels(db, run)
        return [
            RecordedPrediction(
                at=_number(row["since_1970"]),
                time=_number(row["time"]),
                live=_live(row["live"]),
                probabilities=_unpack(row["probabilities"], len(labels)),
                least=_number(row["least"], 0, 1),
                labels=labels,
                doubt=_doubt(row["doubt"]),
                opinions=_by_modality(row["opinions"], _opinion),
                unfamiliar=_names(row["unfamiliar"]),
                suspect=None if row["suspect"] is None else _text(row["suspect"]),
                ages=_by_modality(row["ages"], _number),
                latencies=_by_modality(row["latencies"], _number),
                dropped=_by_modality(row["dropped"], _count),
                skipped=_by_modality(row["skipped"], _count),
                lost=_by_modality(row["lost"], _count),
            )
            for row in _rows(db, "predictions", run, "predictions.rowid")
        ]


def read_events(path: Path | str, run: int) -> list[RecordedEvent]:
    """Return the events of a session, in order."""
    with _reading(path) as db:
        return [
            RecordedEvent(
                at=_number(row["since_1970"]),
                time=_number(row["time"]),
                name=_text(row["name"]),
                modality=_text(row["modality"]),
                kind=_text(row["kind"]),
                reason=_text(row["reason"]),
            )
            # By time: the event that stands for removed ones is written after those that are left.
            for row in _rows(db, "events", run, "time, events.rowid")
        ]


def read_answers(path: Path | str, run: int) -> list[RecordedAnswer]:
    """Return the answers of an audit, example by example."""
    with _reading(path) as db:
        labels = _labels(db, run)
        answers = [
            RecordedAnswer(
                example=_text(row["example"]),
                line=_count(row["line"]),
                truth=_names(row["truth"]),
                subset=subsets.name(_live(row["subset"])),
                label=_text(row["label"]),
                probabilities=_unpack(row["probabilities"], len(labels)),
                least=_number(row["least"], 0, 1),
                doubt=_doubt(row["doubt"]),
                used=subsets.name(_live(row["used"])) if row["used"] else "",
            )
            for row in db.execute("SELECT * FROM answers WHERE run = ? ORDER BY rowid", (run,))
        ]
        known = {(answer.example, answer.subset) for answer in answers}
        for answer in answers:
            if answer.used and (answer.example, answer.used) not in known:
                raise ValueError(f"no answer of {answer.used!r:.40} to {answer.example!r:.40}, which is used")
        return answers


def read_conditions(path: Path | str, run: int) -> list[ConditionScore]:
    """Return the scores of an audit under conditions, in the order in which they were measured."""
    with _reading(path) as db:
        return [
            ConditionScore(
                modality=_text(row["modality"]),
                condition=_text(row["condition"]),
                severity=_count(row["severity"]),
                effect=_text(row["effect"]),
                subset=subsets.name(_live(row["subset"])),
                score=_score(row),
                confidence=_number(row["confidence"], 0, 1),
                unsure=_number(row["unsure"], 0, 1),
                sure_right=None if row["sure_right"] is None else _number(row["sure_right"], 0, 1),
                plain=_number(row["plain"], 0, 1),
            )
            for row in db.execute("SELECT * FROM conditions WHERE run = ? ORDER BY rowid", (run,))
        ]


def same_answers(path: Path | str, run: int, other: int) -> bool:
    """Return whether two audits gave the same answers to the same examples."""
    columns = "example, line, truth, subset, label, probabilities, least, doubt, used"
    query = f"SELECT {columns} FROM answers WHERE run = ? EXCEPT SELECT {columns} FROM answers WHERE run = ?"  # noqa: S608 - constants
    with _reading(path) as db:
        return not any(db.execute(query, pair).fetchone() for pair in ((run, other), (other, run)))


def read_moments(path: Path | str, run: int) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yield the time since 1970 and the live set of each prediction, for sessions too long for memory."""
    with _reading(path) as db:
        for row in _rows(db, "predictions", run, "predictions.rowid"):
            yield _number(row["since_1970"]), _live(row["live"])


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
    except (ValueError, IndexError, RecursionError) as error:  # IndexError: a column is missing
        raise RecordError(f"{path}: holds what no session and no audit wrote ({error}); {REMEDY}") from error


def _rows(db: sqlite3.Connection, table: str, run: int, order: str) -> Iterator[sqlite3.Row]:
    return db.execute(
        f"SELECT {table}.*, offset + at AS since_1970 FROM {table} JOIN runs ON id = run "  # noqa: S608
        f"WHERE run = ? ORDER BY {order}",
        (run,),
    )


def _labels(db: sqlite3.Connection, run: int) -> tuple[str, ...]:
    row = db.execute("SELECT labels FROM runs WHERE id = ?", (run,)).fetchone()
    return _names(row["labels"]) if row else ()


def _score(row: sqlite3.Row) -> SubsetScore:
    accuracy, low, high = (_number(row[column], 0, 1) for column in ("accuracy", "low", "high"))
    return SubsetScore(accuracy, _count(row["n"]), low, high)


def _doubt(value: object) -> Doubt | None:
    return None if value is None else _one_of(value, get_args(Doubt))


def _opinion(value: object) -> RecordedOpinion:
    match value:
        case {"label": str() | None as label, "confidence": confidence, "sure": bool(sure)}:
            return RecordedOpinion(label, _number(confidence, 0, 1), sure)
    raise ValueError(f"{value!r:.40} where an opinion is")


# Columns, each checked: anybody may have written the file. A value of another kind is a `ValueError`.


def _text(value: object) -> str:
    """Return a text, printable."""
    return printable(checked(value, str, "a text"))


def _number(value: object, least: float = -_FAR, most: float = _FAR) -> float:
    """Return a number from `least` to `most`."""
    return float(checked(value, (int, float), f"a number from {least:g} to {most:g}", least, most))


def _count(value: object) -> int:
    """Return a count."""
    return int(checked(value, int, "a count", 0))


def _one_of(value: object, known: Sequence[Word]) -> Word:
    """Return the word of `known` that a value is."""
    word = next((word for word in known if word == value), None)
    if word is None:
        raise ValueError(f"must be {' or '.join(known)}, got {value!r:.40}")
    return word


def _live(value: object) -> tuple[str, ...]:
    """Return a set of modalities."""
    try:
        return subsets.parse(_text(value))
    except SubsetError as error:
        raise ValueError(str(error)) from error


def _unpack(blob: object, count: int) -> NDArray[np.float32]:
    """Return `count` probabilities, one or more."""
    if isinstance(blob, bytes) and len(blob) == 4 * count > 0:
        probabilities = np.frombuffer(blob, dtype="<f4").astype(np.float32)
        if np.all((probabilities >= 0) & (probabilities <= 1)):
            return probabilities
    raise ValueError(f"must be {count} probabilities, got {blob!r:.40}")


def _names(value: object) -> tuple[str, ...]:
    """Return a JSON list of texts."""
    return tuple(map(_text, checked(json.loads(_text(value)), list, "a list")))


def _by_modality(value: object, read: Callable[[object], Entry]) -> dict[str, Entry]:
    """Return a JSON object, each of whose entries `read` checks."""
    entries = checked(json.loads(_text(value)), dict, "an object")
    return {modality: read(entry) for modality, entry in entries.items()}
