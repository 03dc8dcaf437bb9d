"""Values of a record's columns, each checked: anybody may have written the file.

Each function raises ValueError for a value of another kind, which `reader` reports with the file.
"""

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import printable

from sensemble_runtime import subsets
from sensemble_runtime.errors import SubsetError

_FAR = 1e11  # seconds, three thousand years

Word = TypeVar("Word", bound=str)
Entry = TypeVar("Entry")


def text(value: object) -> str:
    """Return a text, printable."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} where a text is")  # noqa: TRY004 - `reader` knows one error
    return printable(value)


def number(value: object, least: float = -_FAR, most: float = _FAR) -> float:
    """Return a number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{value!r:.40} where a number from {least:g} to {most:g} is")
    return float(value)


def count(value: object) -> int:
    """Return a count."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} where a count is")
    return value


def one_of(value: object, known: Sequence[Word]) -> Word:
    """Return the word of `known` that a value is."""
    found = next((word for word in known if word == value), None)
    if found is None:
        raise ValueError(f"{value!r:.40} where {' or '.join(known)} is")
    return found


def live(value: object) -> tuple[str, ...]:
    """Return a set of modalities."""
    try:
        return subsets.parse(text(value))
    except SubsetError as error:
        raise ValueError(str(error)) from error


def unpack(blob: object, count: int) -> NDArray[np.float32]:
    """Return `count` probabilities, one or more."""
    if isinstance(blob, bytes) and len(blob) == 4 * count > 0:
        found = np.frombuffer(blob, dtype="<f4").astype(np.float32)
        if np.all((found >= 0) & (found <= 1)):
            return found
    raise ValueError(f"{blob!r:.40} where {count} probabilities are")


def names(value: object) -> tuple[str, ...]:
    """Return a JSON list of texts."""
    found = json.loads(text(value))
    if not isinstance(found, list):
        raise ValueError(f"{found!r:.40} where a list is")  # noqa: TRY004 - as above
    return tuple(map(text, found))


def by_modality(value: object, read: Callable[[object], Entry]) -> dict[str, Entry]:
    """Return a JSON object, each of whose entries `read` checks."""
    entries = json.loads(text(value))
    if not isinstance(entries, dict):
        raise ValueError(f"{entries!r:.40} where an object is")  # noqa: TRY004 - as above
    return {modality: read(entry) for modality, entry in entries.items()}
