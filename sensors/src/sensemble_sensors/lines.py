"""Read JSON Lines files of any origin: lines are bounded, fields are checked."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sensemble_sensors.errors import BadDataError

LONGEST = 1 << 20  # bytes of a line, with its end
LATEST = 1e9  # seconds, or thirty years; no file and no recording is longer
_PIECE = 1 << 16  # bytes of a line that is too long, skipped at a time


def opened(path: Path) -> IO[bytes]:
    """Open a regular file for reading; raise OSError otherwise (a pipe might never give a byte)."""
    # The open file is checked, not its name, which may lead elsewhere by then.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(number).st_mode):
        return os.fdopen(number, "rb")
    os.close(number)
    raise OSError(errno.EINVAL, "not a regular file")


def numbered(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line with its end); cut a line that is too long where `Fields` refuses it."""
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        yield number, line
        if len(line) > LONGEST:
            while not line.endswith(b"\n") and line:
                line = file.readline(_PIECE)


class Fields:
    """The fields of one JSON object (UTF-8), checked on access; `null` is the same as absent.

    `values` holds them unchecked. A line that is too long or no JSON object, and a field of another type,
    raise BadDataError; the caller adds the place.
    """

    def __init__(self, line: bytes) -> None:
        if len(line) > LONGEST:
            raise BadDataError(f"longer than {LONGEST - 1} bytes")
        try:
            values = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            raise BadDataError(f"not JSON in UTF-8 ({error})") from error
        if not isinstance(values, dict):
            raise BadDataError("not a JSON object")
        self.values: dict[str, object] = values

    def text(self, name: str) -> str | None:
        """Return a string that is not blank; None where it is absent."""
        value = None if self.values.get(name) is None else self.string(name)
        if value is not None and not value.strip():
            raise BadDataError(f"{name}: must be a string that is not blank")
        return value

    def string(self, name: str) -> str:
        """Return a string, which may be empty."""
        value = self.values.get(name)
        if not isinstance(value, str) or not is_unicode(value):
            raise BadDataError(f"{name}: must be a string")
        return value

    def seconds(self, name: str) -> float | None:
        """Return a number of seconds from 0 to `LATEST`; None where it is absent."""
        return None if self.values.get(name) is None else self.number(name, 0, LATEST, "a number of seconds")

    def number(self, name: str, least: float, most: float, kind: str = "a number") -> float:
        """Return a number from `least` to `most`."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise BadDataError(f"{name}: must be {kind} from {least:g} to {most:g}")
        return float(value)

    def integer(self, name: str, least: int, most: int) -> int:
        """Return an integer from `least` to `most`."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadDataError(f"{name}: must be an integer from {least} to {most}")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.values.get(name)
        if not isinstance(value, bool):
            raise BadDataError(f"{name}: must be true or false")
        return value


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can encode a text; JSON may hold half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
