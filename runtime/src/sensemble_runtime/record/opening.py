"""Opening a record to read it, whoever wrote the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sensemble_runtime.errors import RecordError
from sensemble_runtime.record.schema import REMEDY, reported, version

_LARGEST = 1 << 24  # bytes of a value or a row


@contextmanager
def reading(path: Path | str) -> Iterator[sqlite3.Connection]:
    """Open a record; a `ValueError` that the block raises for a bad value becomes a `RecordError`."""
    path = Path(path)
    if not (path.is_file() or path.is_dir()):  # a pipe might never give a byte
        raise RecordError(f"{path}: there is no such file, or none that may be read; {REMEDY}")
    try:
        with (
            reported(path),
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db,
        ):
            db.row_factory = sqlite3.Row
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
            if version(db, path) == 0:
                raise RecordError(f"{path}: empty; {REMEDY}")
            yield db
    except (ValueError, IndexError, RecursionError) as error:  # IndexError: a column is missing
        raise RecordError(f"{path}: holds what no session and no audit wrote ({error}); {REMEDY}") from error
