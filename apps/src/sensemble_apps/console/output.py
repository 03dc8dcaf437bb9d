"""Where text goes: results to standard output, progress and remarks to standard error."""

import errno
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from sensemble_apps.errors import InputError


def say(text: str) -> None:
    """Write one line of result, at once, so that a reader of a pipe sees it as it comes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def remark(line: str) -> None:
    """Write one line that is no result, such as a warning."""
    sys.stderr.write(line + "\n")


def say_executors(executors: Mapping[str, str]) -> None:
    """Remark which target's artifact encodes each modality, as an open bundle says."""
    remark("executors: " + ", ".join(f"{m} by {target}" for m, target in sorted(executors.items())))


def say_json(value: Any, *, indent: int | None = None) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write one JSON value; NaN has no JSON form and is refused."""
    say(json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False))


_OTHER = "name another, or change its permissions"
_ROOM = "make room on its disk, and try again"
_REMEDIES = {
    errno.EACCES: _OTHER,
    errno.EDQUOT: _ROOM,
    errno.EISDIR: "name a file",
    errno.ELOOP: _OTHER,
    errno.ENAMETOOLONG: "name another",
    errno.ENOENT: "name one that is there",
    errno.ENOSPC: _ROOM,
    errno.ENOTDIR: "name a folder",
    errno.EPERM: _OTHER,
    errno.EROFS: "name another, on a disk that can be written",
}


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to, and rename it once all is written: never half a file.

    Raises:
        InputError: `path` cannot be written.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no file; name another")
    file = path.resolve()  # or a link would be replaced, not what it leads to
    beside = file.with_name(file.name + ".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(file)
    except OSError as error:
        raise refused(error, path) or error from error
    finally:
        with suppress(OSError):
            beside.unlink()


def check_writable(folder: Path) -> None:
    """See that a folder can be written or made, before there is anything to lose; nothing is left of that.

    Raises:
        InputError: it cannot.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise refused(error, folder) or error from error


def refused(error: Exception, path: Path | None = None) -> InputError | None:
    """Return what to say where the system refuses a file that the user named; None if that is not what it is.

    Args:
        error: what went wrong.
        path: the file or folder that was named; without it, as the error says.
    """
    if not isinstance(error, OSError) or error.errno not in _REMEDIES:
        return None
    where = path or error.filename
    what = f"{where}: cannot be used" if where else "a file cannot be written"
    return InputError(f"{what} ({error.strerror}); {_REMEDIES[error.errno]}")
