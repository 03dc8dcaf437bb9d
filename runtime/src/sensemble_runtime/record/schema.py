"""The tables of a record, their version, and SQLite's errors in words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from sensemble_runtime.errors import RecordError

SCHEMA = 13
RunKind = Literal["session", "audit", "streams"]

_FOLDER = "it needs a folder that exists and can be written"
_REMEDIES = {
    "SQLITE_BUSY": "close the other program that writes to it",
    "SQLITE_FULL": "make room on its disk",
    "SQLITE_IOERR": "is its disk still there, and not full?",
}

REMEDY = "give the file that a session or an audit recorded"
_COMPUTED = {
    "views or triggers": "SELECT 1 FROM sqlite_schema WHERE type NOT IN ('table', 'index')",
    "virtual tables": "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND type != 'table'",
    "generated columns": "SELECT 1 FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c "
    "WHERE s.type = 'table' AND c.hidden != 0",
    "an index on an expression": "SELECT 1 FROM sqlite_schema AS s, pragma_index_xinfo(s.name) AS c "
    "WHERE s.type = 'index' AND c.cid = -2",
}

_APPLICATION = 0x53454E53  # "SENS", in the file's header
TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('session', 'audit', 'streams')),
    began REAL NOT NULL,       -- seconds since the machine booted, as `at` and `ended`
    ended REAL,
    offset REAL NOT NULL,      -- what makes them seconds since 1970, by the clock when it was last written
    bundle TEXT NOT NULL,      -- SHA-256 of its manifest.json
    modalities TEXT NOT NULL,  -- JSON list: all that the bundle has, sorted
    labels TEXT NOT NULL,      -- JSON list
    task TEXT NOT NULL,
    dataset TEXT,
    split TEXT                 -- of an audit: the splits of its examples or streams, joined with +
) STRICT;
CREATE TABLE IF NOT EXISTS predictions (
    run INTEGER NOT NULL REFERENCES runs,
    at REAL NOT NULL,          -- seconds since the machine booted
    time REAL NOT NULL,        -- seconds on the clock of the samples
    live TEXT NOT NULL,
    label TEXT,                -- NULL if unsure
    probabilities BLOB NOT NULL,  -- float32, little-endian, in the order of the run's labels
    threshold REAL NOT NULL,   -- the confidence from which an answer is sure
    doubt TEXT,                -- why it is unsure
    opinions TEXT NOT NULL,    -- JSON: by modality, its label, its confidence, whether it is sure
    unfamiliar TEXT NOT NULL,  -- JSON list of modalities
    suspect TEXT,              -- the modality that contradicts the others
    ages TEXT NOT NULL,        -- JSON
    latencies TEXT NOT NULL,   -- JSON
    dropped TEXT NOT NULL,     -- JSON
    skipped TEXT NOT NULL,     -- JSON
    lost TEXT NOT NULL         -- JSON
) STRICT;
CREATE TABLE IF NOT EXISTS events (
    run INTEGER NOT NULL REFERENCES runs,
    at REAL NOT NULL,          -- seconds since the machine booted
    time REAL NOT NULL,        -- seconds on the clock of the samples
    name TEXT NOT NULL,        -- of a sensor
    modality TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    label TEXT NOT NULL DEFAULT '',     -- of a moment or a state, as what follows
    began REAL,                         -- seconds on the clock of the samples
    ended REAL,
    confidence REAL,
    sensors TEXT NOT NULL DEFAULT '[]'  -- JSON list of modalities
) STRICT;
CREATE INDEX IF NOT EXISTS predictions_of ON predictions (run, at);
CREATE INDEX IF NOT EXISTS events_of ON events (run, at);
CREATE TABLE IF NOT EXISTS scores (
    run INTEGER NOT NULL REFERENCES runs,
    subset TEXT NOT NULL,
    accuracy REAL NOT NULL,
    n INTEGER NOT NULL,
    low REAL NOT NULL,         -- the ends of the interval of accuracy
    high REAL NOT NULL,
    chance REAL NOT NULL,      -- what always giving the commonest label scores
    PRIMARY KEY (run, subset)
) STRICT;
CREATE TABLE IF NOT EXISTS conditions (
    run INTEGER NOT NULL REFERENCES runs,
    modality TEXT NOT NULL,    -- the degraded one; empty where none is
    condition TEXT NOT NULL,
    severity INTEGER NOT NULL, -- 1 to 5; 0 where no modality is degraded
    effect TEXT NOT NULL,      -- in words, with the amount
    subset TEXT NOT NULL,
    accuracy REAL NOT NULL,
    n INTEGER NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    confidence REAL NOT NULL,
    unsure REAL NOT NULL,      -- the share of the examples without a label
    sure_right REAL,           -- of the others, the share that is right; NULL if there is none
    plain REAL NOT NULL,       -- the accuracy if every window counted in full
    PRIMARY KEY (run, modality, condition, severity, subset)
) STRICT;
CREATE TABLE IF NOT EXISTS unknown (
    run INTEGER NOT NULL REFERENCES runs,
    name TEXT NOT NULL,
    effect TEXT NOT NULL,      -- in words
    subset TEXT NOT NULL,
    n INTEGER NOT NULL,
    sure REAL NOT NULL,        -- shares of the answers
    sure_wrong REAL NOT NULL,
    unfamiliar REAL NOT NULL,
    of_one REAL,               -- the same of the person with the most; NULL if all have few windows
    auroc REAL,                -- of the confidence, known against these; NULL of known ones
    PRIMARY KEY (run, name, subset)
) STRICT;
CREATE TABLE IF NOT EXISTS sparing (
    run INTEGER NOT NULL REFERENCES runs,
    score TEXT NOT NULL,       -- JSON: a `SparingScore`
    PRIMARY KEY (run)
) STRICT;
CREATE TABLE IF NOT EXISTS streams (
    run INTEGER NOT NULL REFERENCES runs,
    score TEXT NOT NULL        -- JSON: a `StreamScore`
) STRICT;
CREATE TABLE IF NOT EXISTS estimates (
    run INTEGER NOT NULL REFERENCES runs,
    name TEXT NOT NULL,        -- `Measures.estimates`
    value REAL NOT NULL,
    low REAL NOT NULL,         -- the ends of its interval
    high REAL NOT NULL,
    PRIMARY KEY (run, name)
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    run INTEGER NOT NULL REFERENCES runs,
    example TEXT NOT NULL,
    line INTEGER NOT NULL,
    truth TEXT NOT NULL,       -- JSON list
    subset TEXT NOT NULL,
    label TEXT NOT NULL,
    probabilities BLOB NOT NULL,
    threshold REAL NOT NULL,
    doubt TEXT,
    groups TEXT NOT NULL,      -- JSON list: of the example
    content TEXT NOT NULL,     -- `media.content`: a hash of the example's files and texts
    PRIMARY KEY (run, example, subset)
) STRICT;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {SCHEMA};
COMMIT;
"""


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Raise SQLite's errors in the block as a `RecordError` that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise RecordError(f"{path}: {_described(path, error)}") from error


def _described(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_NOTADB":
        return "is not a record; name another file"
    with suppress(OSError):
        if path.is_dir():  # which SQLite reports as a disk error
            return "is a folder; name a file"
    remedy = next((remedy for code, remedy in _REMEDIES.items() if name.startswith(code)), _FOLDER)
    text = " ".join(str(error).split())[:200]  # SQLite quotes the whole of a damaged schema
    return f"cannot be used as a record ({text}); {remedy}"


def version(db: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of a record, 0 of an empty file; RecordError for any other file."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (schema,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application, schema, tables) == (0, 0, 0):
        return 0
    if application == _APPLICATION:
        if schema == SCHEMA:
            _check_plain(db, path)
            return SCHEMA
        raise RecordError(
            f"{path}: a record of schema version {schema}, and this sensemble-runtime reads {SCHEMA}; "
            "make a new one: `sensemble run --record FILE`"
        )
    raise RecordError(f"{path}: another program's database; name another file")


def _check_plain(db: sqlite3.Connection, path: Path) -> None:
    """Refuse what SQLite would execute, maybe for ever; no record of ours has any."""
    for what, query in _COMPUTED.items():
        if db.execute(f"SELECT EXISTS ({query})").fetchone()[0]:
            raise RecordError(f"{path}: has {what}, which no record has; {REMEDY}")
