"""Messages and requests from outside: objects of JSON, and their fields, checked before they are used."""

import json
from typing import Any

from sensemble_sensors.errors import SampleError
from sensemble_sensors.lines import checked, is_unicode

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
    """Return a field of a message that must be a text; else `SampleError`, as below."""
    return str(_checked(given, name, str, "a text"))


def optional_text(given: dict[str, Any], name: str) -> str | None:
    """Return a field of a message that must be a text or null."""
    return None if given.get(name) is None else str(_checked(given, name, str, "a text or null"))


def number(given: dict[str, Any], name: str) -> float:
    """Return a field of a message that must be a finite number."""
    return float(_checked(given, name, (int, float), "a number"))


def whole(given: dict[str, Any], name: str) -> int:
    """Return a field of a message that must be a whole number."""
    return int(_checked(given, name, int, "a whole number"))


def truth(given: dict[str, Any], name: str) -> bool:
    """Return a field of a message that must be true or false."""
    return bool(_checked(given, name, bool, "true or false"))


def _checked(given: dict[str, Any], name: str, kinds: type | tuple[type, ...], words: str) -> Any:  # noqa: ANN401
    try:
        return checked(given.get(name), kinds, words)
    except ValueError as error:
        raise SampleError(f"{name}: {error}") from error
