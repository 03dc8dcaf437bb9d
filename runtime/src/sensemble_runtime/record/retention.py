"""The bounds of a record: the age of its rows and the size of its file."""

import math
import re
import sqlite3
from dataclasses import dataclass
from typing import Self

from sensemble_runtime.errors import RecordError

TRIMMED = "record trimmed"  # the event that stands for removed rows

_SECONDS = {"h": 3600.0, "d": 86400.0}
_BYTES = {"MB": 1e6, "GB": 1e9, "TB": 1e12}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([A-Za-z]{1,2})")
_LEAST = 1e6  # bytes
_SHARE = 100  # a record that is too large loses this share of its rows at a time: one hundredth
_EARLIEST = 1735689600.0  # seconds since 1970, 2025: a clock that shows less was never set
_PAUSE = 365 * 86400.0  # seconds; a longer time between two sessions is an error of the clock
_TABLES = ("predictions", "events")
_AT_ONCE = 20_000  # rows removed in one commit: SQLite's log stays small, and the wait short


@dataclass(frozen=True, slots=True)
class Retention:
    """The bounds of a record; beyond them, the oldest predictions and events of sessions are removed.

    Audits stay, and count towards the size. Removed rows are overwritten with zeros. Their space is used
    again, so the file stops growing at `bytes`, at least 1e6, but never shrinks. No row is older than
    `seconds` while a session writes.
    """

    seconds: float | None = None
    bytes: float = 1e9

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse bounds such as `12h`, `30d`, `2GB` or `30d,2GB`; RecordError for any other text."""
        bounds: dict[str, float] = {}
        for part in text.split(","):
            match = _PART.fullmatch(part.strip())
            number, unit = (float(match[1]), match[2]) if match else (0.0, "")
            name, scale, least = (
                ("seconds", _SECONDS[unit], 0.0)
                if unit in _SECONDS
                else ("bytes", _BYTES.get(unit, 0.0), _LEAST)
            )
            if name in bounds or not scale or number * scale < least or not number:
                raise RecordError(
                    f"{text!r} does not say how much of a record to keep; give an age or a size, such as "
                    "12h, 30d, 2GB or 30d,2GB, with a size of 1MB or more"
                )
            bounds[name] = number * scale
        return cls(**bounds)


def trim(db: sqlite3.Connection, retention: Retention, now: float, current: int) -> bool:
    """Remove the oldest rows beyond the bounds, and note it in the record; return whether more may remain.

    `now` is in seconds since 1970; the `current` run is kept even if it has no rows left.
    """
    removed, left = 0, _AT_ONCE
    with db:
        for run, before in _bounds(db, retention, now):
            rows = [
                row
                for table, state in zip(
                    _TABLES, ("NULL", "CASE kind WHEN 'live' THEN reason END"), strict=True
                )
                for row in db.execute(
                    f"DELETE FROM {table} WHERE rowid IN "  # noqa: S608 - both are written above
                    f"(SELECT rowid FROM {table} WHERE run = ? AND at < ? ORDER BY at LIMIT ?) "
                    f"RETURNING at, time, {state}",
                    (run, before, left),
                ).fetchall()
            ]
            left = max(left - len(rows), 0)
            removed += len(rows)
            if rows and run != current and not _holds(db, run):
                db.execute("DELETE FROM runs WHERE id = ?", (run,))
            elif rows:
                rows.sort(key=lambda row: row[:2])
                events = [(TRIMMED, "what was recorded before is removed")]
                # The live set at the first row left.
                events += [("live", reason) for *_, reason in rows[::-1] if reason is not None][:1]
                db.executemany(
                    "INSERT INTO events (run, at, time, name, modality, kind, reason) "
                    "VALUES (?, ?, ?, '', '', ?, ?)",
                    [(run, *rows[-1][:2], kind, reason) for kind, reason in events],
                )
    return removed >= _AT_ONCE or _is_large(db, retention)


def _bounds(db: sqlite3.Connection, retention: Retention, now: float) -> list[tuple[int, float]]:
    """Return sessions, oldest first, with the time since booting before which rows must go; infinite: all."""
    bounds: dict[int, float] = {}
    if retention.seconds is not None:
        bounds = {run: now - retention.seconds - offset for run, offset in _offsets(db, now).items()}
    if _is_large(db, retention):
        (rows,) = db.execute(
            "SELECT (SELECT count(*) FROM predictions) + (SELECT count(*) FROM events)"
        ).fetchone()
        last = db.execute(
            "SELECT run, at FROM (SELECT run, at FROM predictions UNION ALL SELECT run, at FROM events) "
            "ORDER BY run, at LIMIT 1 OFFSET ?",
            (rows // _SHARE,),
        ).fetchone()
        for run, at in [last] if last else []:
            older = db.execute("SELECT id FROM runs WHERE kind = 'session' AND id < ?", (run,))
            bounds |= {one: math.inf for (one,) in older}
            bounds[run] = max(bounds.get(run, -math.inf), math.nextafter(at, math.inf))
    return sorted(bounds.items())


def _offsets(db: sqlite3.Connection, now: float) -> dict[int, float]:
    """Return the number that makes the times of each session seconds since 1970.

    A session before `_EARLIEST`, in the future, or more than `_PAUSE` before the next one shows that a clock
    was wrong, its own or the present one. It counts as ended just before the next one began.
    """
    offsets: dict[int, float] = {}
    following = now  # when the next one began
    for run, offset, began, last in db.execute(
        "SELECT id, offset, began, max(began, ifnull(p, began), ifnull(e, began)) FROM "
        "(SELECT *, (SELECT max(at) FROM predictions WHERE run = id) AS p, "
        "(SELECT max(at) FROM events WHERE run = id) AS e FROM runs WHERE kind = 'session') ORDER BY id DESC"
    ):
        right = max(_EARLIEST, following - _PAUSE) <= offset + last <= now
        offsets[run] = offset if right else following - last
        following = offsets[run] + began
    return offsets


def _is_large(db: sqlite3.Connection, retention: Retention) -> bool:
    (size,) = db.execute(
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return bool(size > retention.bytes)


def _holds(db: sqlite3.Connection, run: int) -> bool:
    return any(
        db.execute(f"SELECT 1 FROM {table} WHERE run = ? LIMIT 1", (run,)).fetchone()  # noqa: S608 - as above
        for table in _TABLES
    )
