"""Where text goes: results to standard output, progress and remarks to standard error."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
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


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to, and rename it once all is written: never half a file.

    Raises:
        InputError: `path` cannot be written.
    """
    beside = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
