"""Messages and requests from outside: objects of JSON, and their fields, checked before they are used."""

import json
import math
from typing import Any

from sensemble_sensors.errors import SampleError
from sensemble_sensors.lines import is_unicode

_DIGITS = 18  # of a whole number, its sign included: what 64 bits hold


def object_of(data: bytes | str) -> dict[str, Any]:
    """Return an object of JSON from outside, all of which can be counted with, printed and sent again.

    Raises:
        ValueError, RecursionError: it is none, or holds a longer number or half a surrogate pair.
    """
    found = json.loads(data, parse_int=_integer)
    if not isinstance(found, dict):
        raise ValueError("another value")  # noqa: TRY004 - as of text that is no JSON
    if not is_unicode(json.dumps(found, ensure_ascii=False)):
        raise ValueError("a text that is not Unicode")
    return found


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of more than {_DIGITS} digits")
    return int(digits)


def text(given: dict[str, Any], name: str) -> str:
    """Return a field of a message that must be a text.

    Raises:
        SampleError: it is none.
    """
    value = given.get(name)
    if not isinstance(value, str):
        raise SampleError(f"{name}: must be a text")
    return value


def optional_text(given: dict[str, Any], name: str) -> str | None:
    """Return a field of a message that must be a text or null.

    Raises:
        SampleError: it is neither.
    """
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise SampleError(f"{name}: must be a text or null")
    return value


def number(given: dict[str, Any], name: str) -> float:
    """Return a field of a message that must be a finite number.

    Raises:
        SampleError: it is none.
    """
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SampleError(f"{name}: must be a number")
    return float(value)


def whole(given: dict[str, Any], name: str) -> int:
    """Return a field of a message that must be a whole number.

    Raises:
        SampleError: it is none.
    """
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SampleError(f"{name}: must be a whole number")
    return value


def truth(given: dict[str, Any], name: str) -> bool:
    """Return a field of a message that must be true or false.

    Raises:
        SampleError: it is neither.
    """
    value = given.get(name)
    if not isinstance(value, bool):
        raise SampleError(f"{name}: must be true or false")
    return value
