"""Write files that survive a kill, a full disk or a power cut; files with samples are private."""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700  # permissions: for this user only


def create(path: Path) -> None:
    """Make an empty private file; keep an existing one. Raises OSError."""
    with suppress(FileExistsError):
        # Exclusively: to open and close a file that is open elsewhere in this process would drop its locks.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))


def create_folder(path: Path) -> None:
    """Make a private folder and its parents; keep an existing one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(PRIVATE_FOLDER, exist_ok=True)


def write(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a whole file or nothing, then sync it, but not its name (`sync_folder`).

    `private` makes it private to this user, whatever the umask. Raises OSError. An error or an interrupt
    leaves nothing behind.
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
    except BaseException:  # also an interrupt
        with suppress(OSError):
            partial.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Sync the names of a folder's files, where the system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def append(path: Path, lines: str) -> None:
    """Append whole lines and sync them, or raise OSError and leave the file unchanged; see `repair`."""
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
    """Make a JSON Lines file end with a whole line and return its lines; create a missing file, private."""
    create(path)
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    tail = data[len(whole) :]
    if tail:  # the remains of a broken append, or a last line that lacks only its end
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
    """Lock a file until the handle is closed or the process ends; BlockingIOError if another has it."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
