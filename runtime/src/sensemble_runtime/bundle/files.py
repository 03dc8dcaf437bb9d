"""Files of a bundle: regular files inside its folder, of the size and hash that its manifest lists."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sensemble_runtime.bundle.manifest import FileEntry
from sensemble_runtime.errors import BundleCorruptError, BundlePathError

_CHUNK = 1 << 20  # bytes in memory at a time
_FLAGS = os.O_NONBLOCK | os.O_NOCTTY  # opening must not wait for a pipe's writer or adopt a terminal


@contextmanager
def regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Raises:
        OSError: it cannot be opened, or is not a regular file (a pipe or a device may never end).
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _FLAGS)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        yield file


def read_file(folder: Path, file: FileEntry) -> bytes:
    """Return the bytes of a file in `folder`, verified.

    Raises:
        BundleCorruptError: size or hash differ from the manifest's, or the file cannot be read.
        BundlePathError: it lies outside the folder.
    """
    return b"".join(_verified(folder, file, file.bytes))  # a single part, which is not copied


def check_file(folder: Path, file: FileEntry) -> None:
    """Verify a file as `read_file` does, in little memory."""
    for _ in _verified(folder, file, _CHUNK):
        pass


def _verified(folder: Path, file: FileEntry, most: int) -> Iterator[bytes]:
    path = folder / file.path
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise BundlePathError(f"{path}: a link that leaves the bundle; put the file itself there")
        with regular(path) as opened:
            size = os.fstat(opened.fileno()).st_size
            if size != file.bytes:
                raise BundleCorruptError(
                    f"{path}: {size} bytes, the manifest says {file.bytes}; copy the bundle again"
                )
            digest, left = hashlib.sha256(), file.bytes
            while left and (chunk := opened.read(min(left, most))):
                digest.update(chunk)
                left -= len(chunk)
                yield chunk
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise BundleCorruptError(f"{path}: cannot be read ({error}); copy the bundle again") from error
    if digest.hexdigest() != file.sha256:
        raise BundleCorruptError(f"{path}: altered, its SHA-256 is not the manifest's; copy the bundle again")
