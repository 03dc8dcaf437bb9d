"""Read JSON Lines files of any origin: lines are bounded, fields are checked."""

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sensemble_sensors.errors import BadDataError

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
            values = json.loads(line.decode() if isinstance(line, bytes) else line)
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
        return str(self._checked(name, str, "a string"))

    def seconds(self, name: str) -> float | None:
        """Return a number of seconds from 0 to `MAX_SECONDS`; None where it is absent."""
        absent = self.values.get(name) is None
        return None if absent else self.number(name, 0, MAX_SECONDS, "a number of seconds")

    def number(self, name: str, low: float, high: float, kind: str = "a number") -> float:
        """Return a number from `low` to `high`."""
        words = f"{kind} from {low:g} to {high:g}"
        return float(self._checked(name, (int, float), words, low, high))

    def integer(self, name: str, low: int, high: int) -> int:
        """Return an integer from `low` to `high`."""
        return int(self._checked(name, int, f"an integer from {low} to {high}", low, high))

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return bool(self._checked(name, bool, "true or false"))

    def _checked(self, name: str, *form: Any) -> Any:  # noqa: ANN401
        try:
            return checked(self.values.get(name), *form)
        except ValueError as error:
            raise BadDataError(f"{name}: {error}") from error


def checked(
    value: object,
    kinds: type | tuple[type, ...],
    words: str,
    low: float = -sys.float_info.max,
    high: float = sys.float_info.max,
) -> Any:  # noqa: ANN401
    """Return a value of one of `kinds`, within bounds and UTF-8, or raise ValueError: "must be `words`"."""
    good = isinstance(value, kinds) and isinstance(value, bool) == (kinds is bool)
    if good and isinstance(value, str):
        good = is_unicode(value)
    elif good and isinstance(value, int | float):
        good = low <= value <= high
    if not good:
        raise ValueError(f"must be {words}, got {value!r:.40}")
    return value


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can encode a text; JSON may hold half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
