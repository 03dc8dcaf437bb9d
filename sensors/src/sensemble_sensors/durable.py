"""Write files that stay whole through a kill, a full disk or a power cut: by renaming, or line by line.

Files with samples of sensors are private to this user, whatever the umask.
"""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700  # permissions: for this user only


def create(path: Path) -> None:
    """Make an empty private file; an existing file stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        # Exclusively: to open and close a file that is open elsewhere in this process would drop its locks.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))


def create_folder(path: Path) -> None:
    """Make a private folder, and those above it; an existing folder stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(PRIVATE_FOLDER, exist_ok=True)


def write(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file to the disk so that its name holds all of it or nothing; see `sync_folder`.

    Args:
        path: the file; an existing one is replaced.
        data: its whole content.
        private: make it private to this user, whatever the umask.

    Raises:
        OSError: the disk is full, or cannot be written; nothing is left behind.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        if private:
            partial.unlink(missing_ok=True)  # one left by a kill may be readable by others
            create(partial)
        with partial.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Write the names of a folder's files to the disk, where the system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def append(path: Path, lines: str) -> None:
    """Append whole lines and write them to the disk; a power cut may leave a part of them, see `repair`.

    Raises:
        OSError: the disk is full, or cannot be written; the file is unchanged.
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


def repair(path: Path) -> list[bytes]:
    """Return the lines of a JSON Lines file, after it was made to end with a whole line.

    A file that does not exist is created, private to this user. The remains of a broken append are cut off; a
    last line that only lacks its end, as an editor leaves it, gets it.

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
    # As bytes: in text, a line would also end inside a string, at U+2028.
    return whole.splitlines()


def lock(path: Path) -> IO[bytes]:
    """Lock a file until the returned handle is closed or the process ends, in whatever way.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: it cannot be written, or its file system has no locks.
    """
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
