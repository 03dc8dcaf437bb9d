"""The content of examples as hashes, by which two audits know that they scored the same data."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from sensemble_sensors.lines import opened
from sensemble_sensors.media.dataset import Example

_BEGINNING = 1 << 16  # bytes by which most files of one size differ
_PIECE = 1 << 20  # bytes read at a time


def contents(examples: Iterable[Example]) -> list[str]:
    """Return a hash of each example's files and texts and of its seconds of them, 32 hexadecimal digits.

    Ids, labels, groups and the names of files do not count. A file that cannot be read counts as empty.
    """
    digests: dict[Path, str] = {}
    found = []
    for example in examples:
        for file in {value for value in example.values.values() if isinstance(value, Path)} - digests.keys():
            digests[file] = (file_digest(file) or b"").hex()
        values = [
            (field, digests[value] if isinstance(value, Path) else value)
            for field, value in sorted(example.values.items())
        ]
        whole = json.dumps([values, example.start, example.end]).encode()
        found.append(hashlib.sha256(whole).hexdigest()[:32])
    return found


def data_digest(rows: Iterable[tuple[str, Sequence[str], str]]) -> str:
    """Return the SHA-256 of examples in any order: of their ids, labels and `contents`, in hex."""
    lines = sorted(json.dumps([name, sorted(labels), content]) for name, labels, content in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def file_digest(path: Path, *, is_beginning: bool = False) -> bytes | None:
    """Return the SHA-256 of a file, or of its beginning; None if it cannot be read."""
    with suppress(OSError), opened(path) as file:
        digest = hashlib.sha256(file.read(_BEGINNING))
        while not is_beginning and (more := file.read(_PIECE)):
            digest.update(more)
        return digest.digest()
    return None
