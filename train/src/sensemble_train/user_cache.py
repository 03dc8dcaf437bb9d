"""Bounded caches in the user's folder, of what can be computed again: what was used last stays."""

import os
from contextlib import suppress
from pathlib import Path

import platformdirs

MOST = 2_000_000_000  # bytes of one cache


def folder(name: str) -> Path:
    """Return the folder of a cache, which may not exist."""
    return Path(platformdirs.user_cache_dir("sensemble")) / name


def use(path: Path) -> None:
    """Note that a file is used now."""
    with suppress(OSError):  # another process removed it, or may not write
        os.utime(path)


def prune(name: str) -> None:
    """Remove the files of a cache that were used longest ago, beyond `MOST` bytes."""
    found = []
    for path in folder(name).rglob("*"):
        with suppress(OSError):  # another process may remove it first
            if path.is_file():
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
    held = 0
    for _, size, path in sorted(found, reverse=True):
        held += size
        if held > MOST:
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()  # if it was the last one
