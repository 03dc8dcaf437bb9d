"""Files of a bundle: regular files inside its folder, of the size and hash that its manifest lists."""

import hashlib
import os
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path

from sensemble_sensors.lines import opened

from sensemble_runtime.bundle.manifest import FileEntry
from sensemble_runtime.errors import BundleCorruptError, BundlePathError
from sensemble_runtime.executors.executor import copied

_CHUNK = 1 << 20  # bytes in memory at a time


def read_file(folder: Path, file: FileEntry) -> bytes:
    """Return the verified bytes of a file in `folder`; BundleCorruptError, or BundlePathError if outside."""
    return b"".join(_verified(folder, file, file.bytes))  # a single part, which is not copied


def map_file(folder: Path, file: FileEntry) -> mmap:
    """Return what `read_file` does, in private memory whose pages can be freed one by one."""
    return copied(_verified(folder, file, _CHUNK), file.bytes)


def check_file(folder: Path, file: FileEntry) -> None:
    """Verify a file as `read_file` does, in little memory."""
    for _ in _verified(folder, file, _CHUNK):
        pass


def _verified(folder: Path, file: FileEntry, most: int) -> Iterator[bytes]:
    path = folder / file.path
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise BundlePathError(f"{path}: a link that leaves the bundle; put the file itself there")
        with opened(path) as contents:
            size = os.fstat(contents.fileno()).st_size
            if size != file.bytes:
                raise BundleCorruptError(
                    f"{path}: {size} bytes, the manifest says {file.bytes}; copy the bundle again"
                )
            digest, left = hashlib.sha256(), file.bytes
            while left and (chunk := contents.read(min(left, most))):
                digest.update(chunk)
                left -= len(chunk)
                yield chunk
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = getattr(error, "strerror", None) or error
        raise BundleCorruptError(f"{path}: cannot be read ({reason}); copy the bundle again") from error
    if digest.hexdigest() != file.sha256:
        raise BundleCorruptError(f"{path}: altered, its SHA-256 is not the manifest's; copy the bundle again")
