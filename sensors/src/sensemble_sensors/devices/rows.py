"""Rows of a series, one number a channel, as programs and microcontrollers write them: JSON or CSV.

A row is a JSON object (`{"time": 1.25, "ax": 0.1, "ay": 9.8}`), a JSON list in the order of the channels, or
comma-separated numbers in that order. A CSV header may name other columns, in any order. `time` is in seconds
of any clock, and may be left out; other fields are ignored.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sensemble_sensors.devices.polled import MAX_LINE
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.resampling import LARGEST
from sensemble_sensors.strict_json import unique

TIME = "time"
LATEST = 1e38  # of a time, in whatever unit


class Row(NamedTuple):
    """One number a channel, and when they were measured: seconds of the sender's clock, None if not said."""

    time: float | None
    values: list[float]


class RowParser:
    """Parses the lines of one stream; `channels` are the names of the numbers of a row.

    If rows must be `named`, they are objects, or CSV with a header.
    """

    def __init__(self, channels: Sequence[str], *, named: bool = False) -> None:
        self._channels, self._named = list(channels), named
        self._columns = [] if named else self._channels  # of CSV

    def parse(self, line: bytes) -> Row | None:
        """Return the row of a line, None for a blank line or a header; BadDataError for any other line."""
        if len(line) > MAX_LINE:
            raise BadDataError(f"a line is longer than {MAX_LINE} bytes; is this a series?")
        text = line.strip()
        if not text:
            return None
        if text[:1] in {b"{", b"["}:
            try:
                return self.row(json.loads(text, object_pairs_hook=unique))
            except (ValueError, RecursionError) as error:
                raise BadDataError(f"{_shown(text)} is not JSON ({error})") from error
        cells = [cell.strip().strip('"') for cell in text.decode(errors="replace").split(",")]
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            if any(cells.count(name) != 1 for name in self._channels):
                names = ", ".join(self._channels)
                raise BadDataError(
                    f"{_shown(text)} is neither a row nor a header with {names}, each once"
                ) from None
            self._columns = cells
            return None
        if not self._columns:
            raise BadDataError(
                f"{_shown(text)} has no names; begin with a header, {','.join(self._channels)}"
            )
        if len(numbers) != len(self._columns):
            raise BadDataError(
                f"{_shown(text)} has {len(numbers)} numbers, not {len(self._columns)} "
                f"({', '.join(self._columns)})"
            )
        return self.row(dict(zip(self._columns, numbers, strict=True)))

    def row(self, fields: object) -> Row:
        """Return the row of decoded JSON, an object or a list; BadDataError for any other."""
        if isinstance(fields, list) and len(fields) == len(self._channels) and not self._named:
            fields = dict(zip(self._channels, fields, strict=True))
        if not isinstance(fields, dict):
            raise BadDataError(
                f"{_shown(fields)} is neither an object nor a list of {len(self._channels)} numbers"
            )
        time = None if fields.get(TIME) is None else number(fields[TIME], TIME, LATEST)
        return Row(time, [number(fields.get(name), name) for name in self._channels])


def number(value: object, name: str, most: float = LARGEST) -> float:
    """Return a number from -`most` to `most`; BadDataError, which names it, for anything else."""
    # An integer of JSON may be too large for a float.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= most:
        return float(value)
    raise BadDataError(f"{name}: must be a number, at most {most:g}, got {_shown(value)}")


def _shown(value: object) -> str:
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else value)[:60]
