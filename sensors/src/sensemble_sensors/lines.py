"""Read JSON Lines files of any origin: lines are bounded, fields are checked."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.strict_json import DecodeError, FreeText, decode, unique

MAX_LINE = 1 << 20  # bytes of a line, with its end
MAX_SECONDS = 1e9  # seconds, or thirty years; no file and no recording is longer
_PIECE = 1 << 16  # bytes of a line that is too long, skipped at a time


def opened(path: Path) -> IO[bytes]:
    """Open a regular file for reading; raise OSError otherwise: a pipe might never give a byte, or end."""
    # The open file is checked, not its name, which may lead elsewhere by then.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    if stat.S_ISREG(os.fstat(number).st_mode):
        return os.fdopen(number, "rb")
    os.close(number)
    raise OSError(errno.EINVAL, "not a regular file")


def numbered(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line with its end); cut a line that is too long where `Fields` refuses it."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        yield number, line
        if len(line) > MAX_LINE:
            while not line.endswith(b"\n") and line:
                line = file.readline(_PIECE)


class Fields:
    """The fields of one JSON object (text, or UTF-8), checked on access; `null` is the same as absent.

    `values` holds them unchecked. A line that is too long or no JSON object, and a field of another type,
    raise BadDataError; the caller adds the place.
    """

    def __init__(self, line: bytes | str) -> None:
        if len(line) > MAX_LINE:
            raise BadDataError(f"longer than {MAX_LINE - 1} bytes")
        try:
            values = json.loads(line.decode() if isinstance(line, bytes) else line, object_pairs_hook=unique)
        except DecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise BadDataError(f"not JSON in UTF-8 ({error})") from error
        if not isinstance(values, dict):
            raise BadDataError("not a JSON object")
        self.values: dict[str, object] = values

    def get(self, name: str, kind: Any) -> Any:  # noqa: ANN401 - a type hint, and a value of it
        """Return a field as `strict_json.decode` reads it."""
        return decode(kind, self.values.get(name), name)

    def text(self, name: str) -> str | None:
        """Return a string that is not blank; None where it is absent."""
        value = None if self.values.get(name) is None else self.string(name)
        if value is not None and not value.strip():
            raise BadDataError(f"{name}: is blank; write a string, or leave the field out")
        return value

    def string(self, name: str) -> str:
        """Return a string, which may be empty."""
        return str(self.get(name, FreeText))

    def seconds(self, name: str) -> float | None:
        """Return a number of seconds from 0 to `MAX_SECONDS`; None where it is absent."""
        return None if self.values.get(name) is None else self.number(name, 0, MAX_SECONDS)

    def number(self, name: str, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        return float(self.get(name, Annotated[float, (low, high)]))

    def integer(self, name: str, low: int, high: int) -> int:
        """Return an integer from `low` to `high`."""
        return int(self.get(name, Annotated[int, (low, high)]))

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return bool(self.get(name, bool))
