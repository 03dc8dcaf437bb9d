"""Write results to standard output, remarks to standard error, and files whole or not at all."""

import errno
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from sensemble_sensors import durable
from sensemble_sensors.errors import printable

from sensemble_apps.errors import InputError


def say(text: str) -> None:
    """Write lines of a result and flush them: the reader of a pipe sees them at once."""
    sys.stdout.write(_printable(text))
    sys.stdout.flush()


def remark(line: str) -> None:
    """Write one line that is not a result, such as a warning."""
    sys.stderr.write(_printable(line))


def _printable(lines: str) -> str:
    return "".join(printable(line) + "\n" for line in lines.split("\n"))


def say_executors(executors: Mapping[str, str]) -> None:
    """Remark which executor encodes each modality of an open bundle."""
    remark("executors: " + ", ".join(f"{m} by {target}" for m, target in sorted(executors.items())))


def say_json(value: Any, *, indent: int | None = None) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write one JSON value; ValueError for NaN, which JSON lacks."""
    say(json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False))


_RECORD = b"SQLite format 3\0"  # how one begins
_OTHER = "name another, or change its permissions"
_ROOM = "make room on its disk, and try again"
_REMEDIES = {
    errno.EACCES: _OTHER,
    errno.EDQUOT: _ROOM,
    errno.EEXIST: "name another",
    errno.EISDIR: "name a file",
    errno.ELOOP: _OTHER,
    errno.ENAMETOOLONG: "name another",
    errno.ENOENT: "name one that exists",
    errno.ENOSPC: _ROOM,
    errno.ENOTDIR: "name a folder",
    errno.EPERM: _OTHER,
    errno.EROFS: "name another, on a disk that can be written",
}


def write(path: Path, text: str) -> None:
    """Write a whole file or nothing, with the folders above it. Raises InputError."""
    file = _replaced(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        durable.write(file, text.encode())
    except OSError as error:
        raise refused(error, path) or error from error


def check_file(path: Path) -> None:
    """Check that a file can be written, and leave nothing behind; else raise InputError."""
    check_writable(_replaced(path).parent, path)


def _replaced(path: Path) -> Path:
    """Return the file to write, the target of a link; InputError if a folder, device or record is there."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is not a file; name another")
    with suppress(OSError), path.open("rb") as there:
        if there.read(len(_RECORD)) == _RECORD:
            raise InputError(f"{path}: is a record, which would be lost; name another")
    return Path(os.path.realpath(path))  # unlike resolve, it takes a loop of links for a file


def check_writable(folder: Path, named: Path | None = None) -> None:
    """Check that a folder can be written or created, and leave nothing behind; else raise InputError.

    The error names `named`, by default the folder.
    """
    existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise refused(error, named or folder) or error from error


def refused(error: Exception, path: Path | None = None) -> InputError | None:
    """Return the error to show where the system refuses a file of the user; None for any other error.

    `path` is that file; by default, the one that `error` names.
    """
    if not isinstance(error, OSError) or error.errno not in _REMEDIES:
        return None
    where = path or error.filename
    what = f"{where}: cannot be used" if where else "a file cannot be written"
    return InputError(f"{what} ({error.strerror}); {_REMEDIES[error.errno]}")
