"""Files of a bundle: regular ones inside its folder, of the sizes and hashes that its manifest lists."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sensemble_runtime.errors import BundleCorruptError, BundlePathError

if TYPE_CHECKING:  # which reads its own file with this module
    from sensemble_runtime.bundle.manifest import FileEntry

_CHUNK = 1 << 20  # bytes that are hashed at a time
# A pipe must not be waited for, nor a terminal become this process's own; Windows has neither flag.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


@contextmanager
def regular(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read.

    Raises:
        OSError: it cannot be opened, or is no regular file: a pipe or a device may never end.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _FLAGS)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        yield file


def read_file(folder: Path, file: "FileEntry") -> bytes:
    """Return the bytes of a file in `folder`, which are of the size and SHA-256 that the manifest says.

    Raises:
        BundleCorruptError: they are not, or the file cannot be read.
        BundlePathError: it lies outside the folder.
    """
    with _listed(folder, file) as opened:
        data = opened.read(file.bytes)
        _compare(hashlib.sha256(data).hexdigest(), folder, file)
    return data


def check_file(folder: Path, file: "FileEntry") -> None:
    """Check a file as `read_file` does, without holding all of it in memory.

    Raises:
        BundleCorruptError, BundlePathError: as `read_file`.
    """
    digest, left = hashlib.sha256(), file.bytes
    with _listed(folder, file) as opened:
        while left and (chunk := opened.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
        _compare(digest.hexdigest(), folder, file)


@contextmanager
def _listed(folder: Path, file: "FileEntry") -> Iterator[BinaryIO]:
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
            yield opened
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise BundleCorruptError(f"{path}: cannot be read ({error}); copy the bundle again") from error


def _compare(digest: str, folder: Path, file: "FileEntry") -> None:
    if digest != file.sha256:
        raise BundleCorruptError(
            f"{folder / file.path}: altered, its SHA-256 is not the manifest's; copy the bundle again"
        )
