"""Reading a record: its runs, their predictions, events and answers, each value checked."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.errors import SubsetError
from sensemble_runtime.prediction import Verdict
from sensemble_runtime.record.opening import reading
from sensemble_runtime.record.schema import Kind
from sensemble_runtime.record.writer import Answer
from sensemble_runtime.subsets import ConditionScore, SubsetScore

_FAR = 1e11  # seconds, three thousand years

Word = TypeVar("Word", bound=str)
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Run:
    """A session or audit.

    Attributes:
        id: its number in the file.
        kind: `session` or `audit`.
        began: seconds since 1970.
        ended: seconds since 1970; None if it was interrupted or still runs.
        bundle: the SHA-256 of the bundle's `manifest.json`, which holds the hash of every other file.
        labels: the classes, in the order of the run's probabilities.
        task: `multi-class` or `multi-label`.
        dataset: the name of the audited data; None for a session.
        split: the splits of the audited examples, joined with `+`; None for a session.
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


@dataclass(frozen=True, slots=True)
class RecordedOpinion:
    """A recorded `Opinion`: its most probable label, its confidence in [0, 1], and whether it was sure."""

    label: str
    confidence: float
    sure: bool


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPrediction(Verdict):
    """A recorded `Prediction`, with its label, candidates and confidence; `at` is in seconds since 1970."""

    at: float
    time: float
    live: tuple[str, ...]
    probabilities: NDArray[np.float32]
    least: float
    labels: tuple[str, ...]
    opinions: dict[str, RecordedOpinion]
    unfamiliar: tuple[str, ...]
    ages: dict[str, float]
    latencies: dict[str, float]
    dropped: dict[str, int]
    skipped: dict[str, int]
    lost: dict[str, int]


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A recorded event of a session: `at` is in seconds since 1970, the rest is as the table has it.

    An event of the kind `retention.TRIMMED` stands in place of all that was removed before it.
    """

    at: float
    time: float
    name: str
    modality: str
    kind: str
    reason: str


def read_runs(path: Path | str) -> list[Run]:
    """Return the runs of a record, oldest first; another process may be writing to it.

    Raises:
        RecordError: there is no such file, it cannot be read, or it has another schema version.
    """
    with reading(path) as db:
        scores: dict[int, dict[str, SubsetScore]] = {}
        for row in db.execute("SELECT * FROM scores ORDER BY rowid"):
            scores.setdefault(_count(row["run"]), {})[subsets.name(_live(row["subset"]))] = _score(row)
        return [
            Run(
                id=_count(row["id"]),
                kind=_one_of(row["kind"], get_args(Kind)),
                began=_moment(row["began"]),
                ended=None if row["ended"] is None else _moment(row["ended"]),
                bundle=_text(row["bundle"]),
                labels=_names(row["labels"]),
                task=_one_of(row["task"], get_args(Task)),
                dataset=None if row["dataset"] is None else _text(row["dataset"]),
                split=None if row["split"] is None else _text(row["split"]),
                scores=scores.get(row["id"], {}),
            )
            for row in db.execute("SELECT * FROM runs ORDER BY id")
        ]


def read_predictions(path: Path | str, run: int) -> list[RecordedPrediction]:
    """Return the predictions of a session, in order.

    Raises:
        RecordError: as `read_runs`.
    """
    with reading(path) as db:
        found = db.execute("SELECT labels FROM runs WHERE id = ?", (run,)).fetchone()
        labels = _names(found["labels"]) if found else ()
        return [
            RecordedPrediction(
                at=_moment(row["at"]),
                time=_number(row["time"]),
                live=_live(row["live"]),
                probabilities=_unpack(row["probabilities"], len(labels)),
                least=_number(row["least"], 0, 1),
                labels=labels,
                opinions=_by_modality(row["opinions"], _opinion),
                unfamiliar=_names(row["unfamiliar"]),
                ages=_by_modality(row["ages"], _number),
                latencies=_by_modality(row["latencies"], _number),
                dropped=_by_modality(row["dropped"], _count),
                skipped=_by_modality(row["skipped"], _count),
                lost=_by_modality(row["lost"], _count),
            )
            for row in db.execute("SELECT * FROM predictions WHERE run = ? ORDER BY rowid", (run,))
        ]


def read_events(path: Path | str, run: int) -> list[RecordedEvent]:
    """Return the events of a session, in order.

    Raises:
        RecordError: as `read_runs`.
    """
    with reading(path) as db:
        return [
            RecordedEvent(
                at=_moment(row["at"]),
                time=_number(row["time"]),
                name=_text(row["name"]),
                modality=_text(row["modality"]),
                kind=_text(row["kind"]),
                reason=_text(row["reason"]),
            )
            # By time: the event that stands for removed ones is written after those that are left.
            for row in db.execute("SELECT * FROM events WHERE run = ? ORDER BY time, rowid", (run,))
        ]


def read_answers(path: Path | str, run: int) -> list[Answer]:
    """Return the answers of an audit, example by example.

    Raises:
        RecordError: as `read_runs`.
    """
    with reading(path) as db:
        return [
            Answer(
                example=_text(row["example"]),
                line=_count(row["line"]),
                truth=_names(row["truth"]),
                subset=subsets.name(_live(row["subset"])),
                label=_text(row["label"]),
                probabilities=_unpack(row["probabilities"]),
            )
            for row in db.execute("SELECT * FROM answers WHERE run = ? ORDER BY rowid", (run,))
        ]


def read_conditions(path: Path | str, run: int) -> list[ConditionScore]:
    """Return the scores of an audit under conditions, in the order in which they were measured.

    Raises:
        RecordError: as `read_runs`.
    """
    with reading(path) as db:
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
            )
            for row in db.execute("SELECT * FROM conditions WHERE run = ? ORDER BY rowid", (run,))
        ]


def read_moments(path: Path | str, run: int) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yield the time, in seconds since 1970, and the live set of each prediction of a session.

    Unlike `read_predictions`, it keeps none in memory: a session may have run for weeks.

    Raises:
        RecordError: as `read_runs`.
    """
    with reading(path) as db:
        query = "SELECT at, live FROM predictions WHERE run = ? ORDER BY rowid"
        for row in db.execute(query, (run,)):
            yield _moment(row["at"]), _live(row["live"])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} where a text is")  # noqa: TRY004 - `reading` knows one error
    return value


def _number(value: object, least: float = -_FAR, most: float = _FAR) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{value!r:.40} where a number from {least:g} to {most:g} is")
    return float(value)


def _score(row: sqlite3.Row) -> SubsetScore:
    accuracy, low, high = (_number(row[column], 0, 1) for column in ("accuracy", "low", "high"))
    return SubsetScore(accuracy, _count(row["n"]), low, high)


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


def _unpack(blob: object, count: int | None = None) -> NDArray[np.float32]:
    """Return probabilities, one or more, or as many as `count`."""
    if not isinstance(blob, bytes) or not blob or (count is not None and len(blob) != 4 * count):
        raise ValueError(f"{blob!r:.40} where probabilities are")
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)


def _names(value: object) -> tuple[str, ...]:
    names = json.loads(_text(value))
    if not isinstance(names, list):
        raise ValueError(f"{names!r:.40} where a list is")  # noqa: TRY004 - as above
    return tuple(map(_text, names))


def _opinion(value: object) -> RecordedOpinion:
    match value:
        case {"label": str(label), "confidence": confidence, "sure": bool(sure)}:
            return RecordedOpinion(label, _number(confidence, 0, 1), sure)
    raise ValueError(f"{value!r:.40} where an opinion is")


def _by_modality(value: object, read: Callable[[object], Entry]) -> dict[str, Entry]:
    entries = json.loads(_text(value))
    if not isinstance(entries, dict):
        raise ValueError(f"{entries!r:.40} where an object is")  # noqa: TRY004 - as above
    return {modality: read(entry) for modality, entry in entries.items()}
