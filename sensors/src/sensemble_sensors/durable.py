"""Files that a kill, a full disk or a power cut leaves whole: written under another name, or line by line.

What holds what sensors saw and heard is private: this user's alone, whatever the umask.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700  # permissions: this user's alone
_FAR = 1 << 40  # a byte that no file reaches: on Windows, a byte that is locked cannot be read


def create(path: Path) -> None:
    """Make an empty file that is this user's alone; one that is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        # Exclusively, for a file that is open here must not be opened again: closing that drops its locks.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))


def create_folder(path: Path) -> None:
    """Make a folder, with those above it, that is this user's alone; one that is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(PRIVATE_FOLDER, exist_ok=True)


def write(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file to the disk so that under its name there is all of it or nothing; see `sync_folder`.

    Args:
        path: the file; one that is there is replaced.
        data: all that it shall hold.
        private: make it this user's alone, whatever the umask.

    Raises:
        OSError: the disk is full, or cannot be written; nothing is left.
    """
    beside = path.with_name(path.name + ".partial")
    try:
        if private:
            beside.unlink(missing_ok=True)  # one that a kill has left may be anybody's
            create(beside)
        with beside.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Put the names of a folder's files on the disk, where the system can (Windows cannot)."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def append(path: Path, lines: str) -> None:
    """Append whole lines and put them on the disk; a power cut may leave a part of them, see `mend`.

    Raises:
        OSError: the disk is full, or cannot be written; the file is as it was.
    """
    with path.open("ab", buffering=0) as out:
        before = out.seek(0, os.SEEK_END)
        try:
            data = lines.encode()
            while data:
                data = data[out.write(data) :]
            os.fsync(out.fileno())
        except OSError:
            with suppress(OSError):
                out.truncate(before)
            raise


def mend(path: Path) -> list[bytes]:
    """Return the lines of a JSON Lines file, made privately if it is not there; end it with a whole line.

    What a broken append has left is cut off; a last line that only lacks its end, as an editor leaves it,
    gets it.

    Raises:
        OSError: it cannot be read or written.
    """
    create(path)
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    tail = data[len(whole) :]
    if tail:
        try:
            json.loads(tail)
        except (ValueError, RecursionError):
            os.truncate(path, len(whole))
        else:
            append(path, "\n")
            whole = data
    # Not as text: there, a line may also end within a string, at U+2028.
    return whole.splitlines()


def lock(path: Path) -> IO[bytes]:
    """Make a file this process's own, until what is returned is closed or the process ends, however it does.

    Raises:
        BlockingIOError: it is somebody's own.
        OSError: it cannot be written, or its file system knows no locks.
    """
    file = path.open("ab")
    try:
        if sys.platform == "win32":
            file.seek(_FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if sys.platform == "win32" and isinstance(error, PermissionError):
            raise BlockingIOError(error.errno, error.strerror) from error
        raise
    return file
