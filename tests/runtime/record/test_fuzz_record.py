"""A thousand mutations of a record: what is read is good, or a RecordError."""

import gc
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from sensemble_runtime.errors import RecordError
from sensemble_runtime.record.reader import (
    read_answers,
    read_conditions,
    read_data,
    read_events,
    read_moments,
    read_predictions,
    read_runs,
)
from sensemble_runtime.record.schema import TABLES
from sensemble_runtime.record.writer import RecordWriter

from tests.mutations import MANY, SEEDS, mutated, one_line

_VALUES = (
    *(None, -1, 0, 2**62, 1e300, math.inf, -0.5, b"", b"123", b"\xff"),
    *("", "x", "NaN", "[]", "{}", "[1]", '{"audio": "x"}', '{"audio": 1e999}', '["\\ud800"]', "audio+audio"),
    *("[" * 5000, "9" * 5000),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with a session and an audit, in small pages, so that more of it is read."""
    path = tmp_path_factory.mktemp("record") / "whole.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA page_size = 512")
        # Not STRICT: what a stranger writes is of any type.
        db.executescript(TABLES.replace(") STRICT;", ");").replace(" NOT NULL", ""))
        chance = np.array([0.25, 0.75], "<f4").tobytes()
        run = ("b" * 64, '["audio", "video"]', '["one", "two"]', "multi-class")
        db.execute(
            "INSERT INTO runs VALUES (1, 'session', 9, NULL, ?, ?, ?, ?, ?, NULL, NULL)", (time.time(), *run)
        )
        db.execute("INSERT INTO runs VALUES (2, 'audit', 5, 6, 0, ?, ?, ?, ?, 'data', 'eval')", run)
        opinion = '{"audio": {"label": "two", "confidence": 0.75, "sure": true}}'
        prediction = ("audio+video", "two", chance, 0.5, None, opinion, '["text"]', "text")
        prediction += ('{"audio": 0.5}', '{"audio": 0.1}', "{}", '{"audio": 2}', "{}")
        for i in range(5):
            db.execute(
                "INSERT INTO predictions VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (i + 0.5, i, *prediction),
            )
            db.execute(
                "INSERT INTO events VALUES (1, ?, ?, 'cam', 'video', 'began', '', 'one', ?, NULL, 0.9, '[]')",
                (i + 0.5, i, i),
            )
        db.execute("INSERT INTO scores VALUES (2, 'audio', 0.5, 4, 0.15, 0.85, 0.25)")
        db.execute("INSERT INTO estimates VALUES (2, 'drop.audio', 0.1, -0.2, 0.3)")
        degraded = (2, "audio", "quiet", 3, "20 dB quieter", "audio", 0.5, 4, 0.15, 0.85, 0.7, 0.1, None, 0.5)
        db.execute("INSERT INTO conditions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", degraded)
        answer = (2, "a", 1, '["one"]', "audio", "two", chance, 0.5, "several", '["p"]', "c" * 32)
        db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", answer)
        db.commit()
    assert read_all(path) == 2
    return path


def read_all(path: Path) -> int:
    """Read all that a record has; return how many runs."""
    runs = read_runs(path)
    for number in {1, 2, *(run.id for run in runs[:5])}:
        for prediction in read_predictions(path, min(number, 2**62)):
            assert math.isfinite(prediction.at + prediction.time + sum(prediction.ages.values()))
            assert set(prediction.candidates) <= set(prediction.labels) >= {prediction.best} - {None}
            assert all(0 <= opinion.confidence <= 1 for opinion in prediction.opinions.values())
        assert all(math.isfinite(event.at) for event in read_events(path, min(number, 2**62)))
        assert all(live for _, live in read_moments(path, min(number, 2**62)))
        list(read_answers(path, min(number, 2**62)))
        assert len(read_data(path, min(number, 2**62))) == 64
        assert all(0 <= one.unsure <= 1 for one in read_conditions(path, min(number, 2**62)))
    return len(runs)


def tolerated(path: Path) -> None:
    try:
        read_all(path)
    except RecordError as error:
        one_line(error)


@MANY
@given(seed=SEEDS)
def test_bytes(whole: Path, seed: int) -> None:
    path = whole.with_name("bytes.sqlite")
    path.write_bytes(mutated(whole.read_bytes(), seed))
    tolerated(path)


@pytest.fixture(scope="module")
def altered(whole: Path) -> Iterator[sqlite3.Connection]:
    path = whole.with_name("altered.sqlite")
    path.write_bytes(whole.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        yield db


@MANY
@given(seed=SEEDS)
def test_values(whole: Path, altered: sqlite3.Connection, seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - no secret
    table = chance.choice(("runs", "conditions", "predictions", "events", "scores", "estimates", "answers"))
    column = chance.choice([row[1] for row in altered.execute(f"PRAGMA table_info({table})")])
    (old,) = altered.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()  # noqa: S608 - names of ours
    update = f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT min(rowid) FROM {table})"  # noqa: S608
    try:
        altered.execute(update, (chance.choice(_VALUES),))
        altered.commit()
    except sqlite3.Error:  # not even SQLite takes it
        altered.rollback()
        return
    tolerated(whole.with_name("altered.sqlite"))
    gc.collect(1)  # an error may hold the cursor that was read, and so a lock
    altered.execute(update, (old,))
    altered.commit()


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (
            "DROP TABLE events; CREATE TABLE events (run, at, kind, reason AS (hex(zeroblob(4000000))))",
            "generated columns",
        ),
        ("CREATE INDEX slow ON events (hex(kind))", "an index on an expression"),
        ("CREATE VIRTUAL TABLE other USING fts5 (x)", "virtual tables"),
        (f"DROP TABLE runs; CREATE VIEW runs AS {ENDLESS}", "views or triggers"),
        ("CREATE TRIGGER more AFTER INSERT ON events BEGIN DELETE FROM events; END", "views or triggers"),
    ],
)
def test_what_computes_when_it_is_read_or_written_is_refused(
    tmp_path: Path, statements: str, found: str
) -> None:
    path = tmp_path / "record.sqlite"
    RecordWriter(path).close()
    read_runs(path)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)
    for use in (RecordWriter, read_runs):
        with pytest.raises(RecordError, match=rf"record\.sqlite: has {found}"):
            use(path)
