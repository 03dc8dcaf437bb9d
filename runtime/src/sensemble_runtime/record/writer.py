"""The writer of a record: one SQLite file of sessions and audits; what is committed survives a power cut.

A run is one session, with its predictions and events, one audit, with the score of each subset and its answer
to each example, or one audit of streams, with its scores. A run without an end was interrupted; what it holds
is valid.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors import durable
from sensemble_sensors.clock import REAL
from sensemble_sensors.strict_json import encode
from sensemble_sensors.supervision.events import Event

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_data
from sensemble_runtime.errors import RecordError
from sensemble_runtime.prediction import Doubt, Opinion, Prediction
from sensemble_runtime.record.retention import Retention, trim
from sensemble_runtime.record.schema import TABLES, RunKind, reported, version
from sensemble_runtime.scores import (
    ConditionScore,
    Estimate,
    SparingScore,
    StreamScore,
    SubsetScore,
    UnknownScore,
)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedAnswer:
    """The answer of a bundle to one example, as a session with the sensors of one subset gives it."""

    example: str  # its id
    line: int  # in the dataset's index
    truth: tuple[str, ...]  # its labels
    subset: str
    label: str  # the most probable class
    probabilities: NDArray[np.float32]  # [C]
    threshold: float
    doubt: Doubt | None
    groups: tuple[str, ...] = ()  # of the example
    content: str = ""  # a hash of the example's files and texts (`media.content`)


class RecordWriter:
    """A record file open for writing; each method is one durable commit. For one thread at a time.

    An absent file is created, readable by this user only, as are SQLite's files next to it. Every method
    raises a RecordError if the file cannot be written; opening, if it is no record or has another schema
    version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with suppress(OSError):  # SQLite reports the same error
            durable.create(path)
        with reported(path):
            # Absolute, so that `:memory:` is a file's name too.
            self._db = sqlite3.connect(path.absolute(), check_same_thread=False)
        try:
            with reported(path):
                self._prepare()
                self._opened = path.stat()
        except RecordError:
            self._db.close()
            with suppress(OSError):
                if not path.stat().st_size:  # as on a full disk
                    path.unlink()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Raise a RecordError if the file was removed or replaced: rows added to it would be lost."""
        with suppress(OSError):
            if os.path.samestat(self._path.stat(), self._opened):
                return
        raise RecordError(f"{self._path}: was removed or replaced, and its contents are gone")

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._db.close()

    def begin(
        self, kind: RunKind, bundle: Bundle, dataset: str | None = None, split: str | None = None
    ) -> int:
        """Add a run and return its id; an audit also names its data."""
        manifest = bundle.manifest
        lists = (json.dumps(names) for names in (sorted(manifest.modalities), manifest.labels))
        with reported(self._path), self._db:
            cursor = self._db.execute(
                "INSERT INTO runs (kind, began, offset, bundle, modalities, labels, task, dataset, split) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (kind, _uptime(), _offset(), bundle.fingerprint, *lists, manifest.task, dataset, split),
            )
        return int(cursor.lastrowid or 0)

    def began(self, run: int) -> float | None:
        """Return when a run began, in seconds since the machine booted; None if there is no such run."""
        with reported(self._path):
            row = self._db.execute("SELECT began FROM runs WHERE id = ?", (run,)).fetchone()
        return row[0] if row else None

    def end(self, run: int) -> None:
        """Mark a run as complete."""
        with reported(self._path), self._db:
            self._set_clock(run)
            self._db.execute("UPDATE runs SET ended = ? WHERE id = ?", (_uptime(), run))

    def add_items(self, run: int, items: Sequence[Prediction | Event]) -> None:
        """Add a session's predictions and events, whose times are on the clock of `time.monotonic`."""
        slept = _uptime() - REAL.now()
        predictions = [
            (
                run,
                slept + p.time,
                p.time,
                "+".join(p.live),
                p.label,
                _pack(p.probabilities),
                p.threshold,
                p.doubt,
                json.dumps({m: _opinion(opinion) for m, opinion in p.opinions.items()}),
                json.dumps(p.unfamiliar),
                p.suspect,
                *(json.dumps(field) for field in (p.ages, p.latencies, p.dropped, p.skipped, p.lost)),
            )
            for p in items
            if isinstance(p, Prediction)
        ]
        events = [
            (
                run,
                slept + e.time,
                e.time,
                e.sensor,
                e.modality,
                e.kind,
                e.text,
                e.label,
                e.began,
                e.ended,
                e.confidence,
                json.dumps(e.sensors),
            )
            for e in items
            if isinstance(e, Event)
        ]
        with reported(self._path), self._db:
            self._set_clock(run)
            self._insert("predictions", 16, predictions)
            self._insert("events", 12, events)

    def add_answers(self, run: int, answers: Iterable[RecordedAnswer]) -> None:
        """Add an audit's answers."""
        rows = [
            (
                run,
                a.example,
                a.line,
                json.dumps(a.truth),
                a.subset,
                a.label,
                _pack(a.probabilities),
                a.threshold,
                a.doubt,
                json.dumps(a.groups),
                a.content,
            )
            for a in answers
        ]
        with reported(self._path), self._db:
            self._insert("answers", 11, rows)

    def add_scores(
        self,
        run: int,
        scores: Mapping[str, SubsetScore],
        chance: Mapping[str, float],
        estimates: Mapping[str, Estimate],
    ) -> None:
        """Add an audit's scores and chance by subset, and its estimates by name: `P`, `R`, `drop.audio`."""
        rows = [(run, subset, s.accuracy, s.n, s.low, s.high, chance[subset]) for subset, s in scores.items()]
        others = [(run, name, one.value, one.low, one.high) for name, one in estimates.items()]
        with reported(self._path), self._db:
            self._insert("scores", 7, rows)
            self._insert("estimates", 5, others)

    def add_conditions(self, run: int, scores: Iterable[ConditionScore]) -> None:
        """Add an audit's scores under conditions."""
        rest = attrgetter("confidence", "unsure", "sure_right", "plain")
        rows = [(run, *s.key, s.effect, s.subset, *astuple(s.score), *rest(s)) for s in scores]
        with reported(self._path), self._db:
            self._insert("conditions", 14, rows)

    def add_unknown(self, run: int, scores: Iterable[UnknownScore]) -> None:
        """Add an audit's scores against the unknown."""
        with reported(self._path), self._db:
            self._insert("unknown", 10, [(run, *astuple(score)) for score in scores])

    def add_sparing(self, run: int, score: SparingScore | None) -> None:
        """Add an audit's score of sparing, if it has one."""
        if score is not None:
            with reported(self._path), self._db:
                self._insert("sparing", 2, [(run, json.dumps(encode(score)))])

    def add_streams(self, run: int, scores: Iterable[StreamScore]) -> None:
        """Add the scores of an audit of streams."""
        with reported(self._path), self._db:
            self._insert("streams", 2, [(run, json.dumps(encode(score))) for score in scores])

    def trim(self, retention: Retention, run: int) -> bool:
        """Remove some of the oldest rows beyond the bounds, but not `run`; return whether more may remain."""
        with reported(self._path):
            with self._db:
                self._set_clock(run)
            return trim(self._db, retention, time.time(), run)

    def _insert(self, table: str, columns: int, rows: Sequence[tuple[object, ...]]) -> None:
        marks = ", ".join("?" * columns)
        self._db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - a constant

    def _set_clock(self, run: int) -> None:
        """Let the times of a run follow the clock, which may have been wrong until now."""
        self._db.execute("UPDATE runs SET offset = ? WHERE id = ?", (_offset(), run))

    def _prepare(self) -> None:
        if version(self._db, self._path) == 0:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(TABLES)
        # In WAL mode, the default (NORMAL) may lose the last commits at a power cut.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA secure_delete = ON")  # overwrite removed rows with zeros


def fingerprint(bundle: Path) -> str:
    """Return the SHA-256 of the `manifest.json` of the bundle in a folder, in hex."""
    return hashlib.sha256(read_data(bundle / FILE_NAME)).hexdigest()


def _uptime() -> float:
    """Return the seconds since the machine booted; on Linux those count in which it slept."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _offset() -> float:
    return time.time() - _uptime()


def _opinion(opinion: Opinion) -> dict[str, object]:
    return {"label": opinion.best, "confidence": round(opinion.confidence, 6), "sure": opinion.sure}


def _pack(probabilities: NDArray[np.float32]) -> bytes:
    return probabilities.astype("<f4").tobytes()
