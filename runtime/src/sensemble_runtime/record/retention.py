"""The bounds of a record: the age of its rows and the size of its file."""

import math
import re
import sqlite3
from dataclasses import dataclass
from typing import Self

from sensemble_runtime.errors import RecordError

TRIMMED = "record trimmed"
"""The kind of the event that stands for the rows removed from a session."""

_SECONDS = {"h": 3600.0, "d": 86400.0}
_BYTES = {"MB": 1e6, "GB": 1e9, "TB": 1e12}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([A-Za-z]{1,2})")
_LEAST = 1e6  # bytes
_SHARE = 100  # a record that is too large loses this share of its rows at a time: one hundredth
_AT_ONCE = 20_000  # rows removed in one commit: SQLite's log stays small, and the wait short


@dataclass(frozen=True, slots=True)
class Retention:
    """The bounds of a record; beyond them, the oldest predictions and events of sessions are removed.

    Audits stay, and count towards the size. Removed rows are overwritten with zeros. Their space in the file
    is used again, so the file stops growing, but it never shrinks.

    Attributes:
        seconds: the greatest age of a prediction or event while a session writes; None for no limit.
        bytes: the greatest size of the file, at least 1e6; SQLite's log next to it takes some MB more.
    """

    seconds: float | None = None
    bytes: float = 1e9

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse bounds such as `12h`, `30d`, `2GB` or `30d,2GB`.

        Raises:
            RecordError: `text` names no bound, the same one twice, or one that is too small.
        """
        found: dict[str, float] = {}
        for part in text.split(","):
            match = _PART.fullmatch(part.strip())
            number, unit = (float(match[1]), match[2]) if match else (0.0, "")
            name, scale, least = (
                ("seconds", _SECONDS[unit], 0.0)
                if unit in _SECONDS
                else ("bytes", _BYTES.get(unit, 0.0), _LEAST)
            )
            if name in found or not scale or number * scale < least or not number:
                raise RecordError(
                    f"{text!r} does not say how much of a record to keep; give such as 12h, 30d, 2GB or "
                    "30d,2GB, a size being 1MB or more"
                )
            found[name] = number * scale
        return cls(**found)


def trim(db: sqlite3.Connection, retention: Retention, now: float, current: int) -> bool:
    """Remove the oldest rows beyond the bounds, and note it in the record; return whether more may remain.

    Args:
        db: an open record, outside a transaction.
        retention: the bounds.
        now: seconds since 1970.
        current: the run being written, which is kept even if it has no rows left.

    Raises:
        sqlite3.Error: it failed, and nothing was removed.
    """
    before = _before(db, retention, now)
    if before is None:
        return False
    with db:
        removed = [
            row
            for table, state in (("predictions", "NULL"), ("events", "CASE kind WHEN 'live' THEN reason END"))
            for row in db.execute(
                f"DELETE FROM {table} WHERE rowid IN "  # noqa: S608 - both are written above
                f"(SELECT rowid FROM {table} WHERE at < ? ORDER BY at LIMIT ?) "
                f"RETURNING run, at, time, {state}",
                (before, _AT_ONCE),
            ).fetchall()
        ]
        removed.sort(key=lambda row: row[1])
        last = {run: (at, time) for run, at, time, _ in removed}
        live = {run: reason for run, _, _, reason in removed if reason is not None}
        for run, (at, time) in last.items():
            if run != current and not _holds(db, run):
                db.execute("DELETE FROM runs WHERE id = ?", (run,))
                continue
            events = [(TRIMMED, "what was recorded before is removed")]
            events += [("live", live[run])] if run in live else []  # the live set at the first row left
            db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, '', '', ?, ?)",
                [(run, at, time, kind, reason) for kind, reason in events],
            )
    return len(removed) >= _AT_ONCE or _is_large(db, retention)


def _before(db: sqlite3.Connection, retention: Retention, now: float) -> float | None:
    """Return the time, in seconds since 1970, before which rows must go; None if none must."""
    before = [] if retention.seconds is None else [now - retention.seconds]
    if _is_large(db, retention):
        (rows,) = db.execute(
            "SELECT (SELECT count(*) FROM predictions) + (SELECT count(*) FROM events)"
        ).fetchone()
        oldest = db.execute(
            "SELECT at FROM (SELECT at FROM predictions UNION ALL SELECT at FROM events) "
            "ORDER BY at LIMIT 1 OFFSET ?",
            (rows // _SHARE,),
        ).fetchone()
        before += [math.nextafter(oldest[0], math.inf)] if oldest else []
    return max(before, default=None)


def _is_large(db: sqlite3.Connection, retention: Retention) -> bool:
    (size,) = db.execute(
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return bool(size > retention.bytes)


def _holds(db: sqlite3.Connection, run: int) -> bool:
    """Return whether a session has any rows left."""
    return any(
        db.execute(f"SELECT 1 FROM {table} WHERE run = ? LIMIT 1", (run,)).fetchone()  # noqa: S608 - as above
        for table in ("predictions", "events")
    )
