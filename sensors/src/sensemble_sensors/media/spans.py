"""Spans: stretches of time with a label, as CSV with the columns from, until and label."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from unicodedata import normalize

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.lines import MAX_SECONDS, opened

_COLUMNS = ["from", "until", "label"]
_MOST = 1 << 24  # bytes of a file; a day with a label every second has a tenth


@dataclass(frozen=True, slots=True)
class Span:
    """A label for a stretch of time, in seconds; `where` names its place in a file."""

    begin: float
    end: float
    label: str
    where: str = ""


def read_spans(path: Path, began: float | None = None) -> list[Span]:
    """Return the spans of a CSV file, in its order; BadDataError names the file, the line and the reason.

    Times are seconds. With `began`, seconds since 1970, times count from it, and may be dates with times,
    such as `2026-11-30T10:15:00`, in this machine's time zone unless they name one.
    """
    try:
        with opened(path) as file:
            data = file.read(_MOST + 1)
        text = data.decode("utf-8-sig")  # Excel begins a file by its mark
    except UnicodeDecodeError as error:
        raise BadDataError(f"{path}: is not UTF-8; save it as CSV UTF-8") from error
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > _MOST:
        raise BadDataError(f"{path}: is larger than {_MOST >> 20} MiB; divide it")
    try:
        return list(_spans(text, path, began))
    except csv.Error as error:
        raise BadDataError(f"{path}: is not CSV: {error}; is a quotation mark closed?") from error


def _spans(text: str, path: Path, began: float | None) -> Iterator[Span]:
    rows = csv.DictReader(text.splitlines(), strict=True)
    if rows.fieldnames != _COLUMNS:
        raise BadDataError(f"{path}: its first line must be {','.join(_COLUMNS)}")
    for row in rows:
        where = f"{path}:{rows.line_num}"
        if None in row or None in row.values():
            raise BadDataError(f"{where}: must have three values, {','.join(_COLUMNS)}")
        begin, end = (_time(row[name], began, where) for name in _COLUMNS[:2])
        yield checked(Span(begin, end, normalize("NFC", row["label"]), where))


def checked(span: Span) -> Span:
    """Return a span that has a label and lasts some time; BadDataError otherwise."""
    if not span.label.strip() or not span.label.isprintable():
        raise BadDataError(f"{span.where}: {span.label!a:.80} is not a label; write a class")
    if span.end <= span.begin:
        raise BadDataError(f"{span.where}: ends before it begins")
    return span


def _time(text: str, began: float | None, where: str) -> float:
    example = "seconds" if began is None else "seconds, or 2026-11-30T10:15:00"
    try:
        if not math.isnan(seconds := float(text)):
            if began is not None:
                return began + seconds
            if 0 <= seconds <= MAX_SECONDS:
                return seconds
    except ValueError:
        pass
    try:
        if began is not None:
            return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        pass
    raise BadDataError(f"{where}: {text!r:.80} is not a time; give {example}")
