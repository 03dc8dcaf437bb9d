"""Values of a record's columns, each checked: anybody may have written the file.

Each function raises ValueError for a value of another kind, which `reader` reports with the file.
"""

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import printable
from sensemble_sensors.lines import checked

from sensemble_runtime import subsets
from sensemble_runtime.errors import SubsetError

_FAR = 1e11  # seconds, three thousand years

Word = TypeVar("Word", bound=str)
Entry = TypeVar("Entry")


def text(value: object) -> str:
    """Return a text, printable."""
    return printable(checked(value, str, "a text"))


def number(value: object, least: float = -_FAR, most: float = _FAR) -> float:
    """Return a number from `least` to `most`."""
    return float(checked(value, (int, float), f"a number from {least:g} to {most:g}", least, most))


def count(value: object) -> int:
    """Return a count."""
    return int(checked(value, int, "a count", 0))


def one_of(value: object, known: Sequence[Word]) -> Word:
    """Return the word of `known` that a value is."""
    word = next((word for word in known if word == value), None)
    if word is None:
        raise ValueError(f"must be {' or '.join(known)}, got {value!r:.40}")
    return word


def live(value: object) -> tuple[str, ...]:
    """Return a set of modalities."""
    try:
        return subsets.parse(text(value))
    except SubsetError as error:
        raise ValueError(str(error)) from error


def unpack(blob: object, count: int) -> NDArray[np.float32]:
    """Return `count` probabilities, one or more."""
    if isinstance(blob, bytes) and len(blob) == 4 * count > 0:
        probabilities = np.frombuffer(blob, dtype="<f4").astype(np.float32)
        if np.all((probabilities >= 0) & (probabilities <= 1)):
            return probabilities
    raise ValueError(f"must be {count} probabilities, got {blob!r:.40}")


def names(value: object) -> tuple[str, ...]:
    """Return a JSON list of texts."""
    return tuple(map(text, checked(json.loads(text(value)), list, "a list")))


def by_modality(value: object, read: Callable[[object], Entry]) -> dict[str, Entry]:
    """Return a JSON object, each of whose entries `read` checks."""
    entries = checked(json.loads(text(value)), dict, "an object")
    return {modality: read(entry) for modality, entry in entries.items()}
