"""Check what a file, a client or a caller gives: values of their types and in their bounds, whole documents.

A type hint says what is allowed: `Annotated[float, (0, 1)]` has bounds, both included; `FreeText` may hold
line breaks; of a dataclass, no key may be missing or unknown.
"""

import dataclasses
import json
import math
import reprlib
import types
from collections import Counter
from collections.abc import Callable, Sized
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

from sensemble_sensors.errors import BadDataError, SpecError, printable

# A caption, say; other strings are names, without line breaks and escapes.
FreeText = NewType("FreeText", str)
MORE = math.inf  # as the upper bound of a number: none
Share = Annotated[float, (0, 1)]
Count = Annotated[int, (0, MORE)]

_PLAIN: dict[Any, str] = {
    str: "a string",
    FreeText: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
}
_LONGEST = 4096  # characters of a string, so that an error that quotes one stays a line
_ENTRIES = 4096  # of an object; ours are by modality, target, set of modalities or package
_ITEMS = 100_000  # of a list; the longest is of labels
_EXACT = 2**53  # beyond it a float no longer holds every integer, and readers in other languages disagree


class DecodeError(BadDataError, ValueError):
    """A value or a document is not what its type hint allows; names the field."""


def document(text: str) -> object:
    """Parse `text` as JSON, without the extensions of Python's parser.

    Raises DecodeError if it is not JSON, is nested too deep, repeats a key, or has a number that is not
    finite.
    """
    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=_refuse)
    except DecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"not JSON: {error}") from error


def encode(instance: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Return a dataclass as `decode` reads it; infinite numbers are left out."""
    finite = lambda pairs: {k: v for k, v in pairs if v not in (math.inf, -math.inf)}  # noqa: E731
    return dataclasses.asdict(instance, dict_factory=finite)


def decode(kind: Any, raw: object, field: str = "") -> Any:  # noqa: ANN401 - an instance of `kind`
    """Return `raw`, a value of `document`, as a dataclass, dict, tuple, literal, optional or plain type.

    `field` is its dotted place in the document. A field that is missing, unknown or of another type raises
    DecodeError. What is None or infinite by default may be missing.
    """
    if isinstance(kind, (type, NewType)) and kind in _PLAIN:  # first, because an index has millions
        return _plain(kind, raw, field)
    if read := _READERS.get(get_origin(kind)):
        return read(get_args(kind), raw, field)
    return _dataclass(kind, raw, field)


def _number(kind: Any, raw: object, field: str) -> Any:  # noqa: ANN401 - a number
    plain, (least, most) = kind[:2]
    low, high = (f"{bound:g}" if isinstance(bound, float) else f"{bound}" for bound in (least, most))
    words = f"{_PLAIN[plain]} of {low} or more" if most == MORE else f"{_PLAIN[plain]} from {low} to {high}"
    value = _plain(plain, raw, field, words)
    if not least <= value <= most:
        raise _mismatch(field, words, raw)
    return value


def _optional(kind: Any, raw: object, field: str) -> Any:  # noqa: ANN401 - of the type, or None
    return None if raw is None else decode(kind[0], raw, field)


def _literal(kind: Any, raw: object, field: str) -> Any:  # noqa: ANN401 - one of `kind`
    if raw not in kind or not isinstance(raw, str):
        raise _mismatch(field, " or ".join(map(repr, kind)), raw)
    return raw


def _dict(kind: tuple[Any, ...], raw: object, field: str) -> dict[str, Any]:
    entries = _object(raw, field)
    return {decode(str, key, field): decode(kind[1], entries[key], _join(field, key)) for key in entries}


def _tuple(kind: tuple[Any, ...], raw: object, field: str) -> tuple[Any, ...]:
    if not isinstance(raw, list):
        raise _mismatch(field, "a list", raw)
    if len(raw) > _ITEMS:
        raise _too_many(field, _ITEMS, raw)
    return tuple(decode(kind[0], item, f"{field}[{i}]") for i, item in enumerate(raw))


_READERS: dict[Any, Callable[[Any, object, str], Any]] = {  # by origin of a type; called with its arguments
    Annotated: _number,
    types.UnionType: _optional,
    Union: _optional,
    Literal: _literal,
    dict: _dict,
    tuple: _tuple,
}


def _dataclass(kind: Any, raw: object, field: str) -> Any:  # noqa: ANN401 - an instance of `kind`
    hints = get_type_hints(kind, include_extras=True)
    entries = _object(raw, field)
    # JSON has no infinity: a bound that is infinite by default is left out.
    free = {one.name for one in dataclasses.fields(kind) if one.default in (None, math.inf, -math.inf)}
    for key in [*hints, *entries]:
        if key not in entries and key in free:
            continue
        if key not in entries:
            raise DecodeError(f"{_join(field, key)}: missing")
        if key not in hints:
            raise DecodeError(f"{_join(field, key)}: unknown field")
    given = {key: decode(hints[key], value, _join(field, key)) for key, value in entries.items()}
    try:
        return kind(**given)
    except SpecError as error:
        raise DecodeError(f"{field or 'document'}: {error}") from error


def _plain(kind: Any, raw: Any, field: str, words: str = "") -> Any:  # noqa: ANN401 - of the type
    words = words or _PLAIN[kind]
    form = (int, float) if kind is float else str if kind is FreeText else kind
    if isinstance(raw, bool) is not (kind is bool) or not isinstance(raw, form):
        raise _mismatch(field, words, raw)
    if not isinstance(raw, str) and not abs(raw) <= _EXACT:
        raise _mismatch(field, f"{words} within 2^53", raw)
    if isinstance(raw, str) and kind is FreeText and not is_unicode(raw):
        raise _mismatch(field, f"{words} in Unicode", raw)
    if isinstance(raw, str) and kind is str and printable(raw) != raw:
        raise _mismatch(field, "printable text", raw)
    if isinstance(raw, str) and kind is str and len(raw) > _LONGEST:
        raise _mismatch(field, f"at most {_LONGEST} characters", raw)
    return float(raw) if kind is float else raw


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can encode a text; JSON may hold half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(raw: object, field: str) -> dict[str, object]:
    if not isinstance(raw, dict):
        raise _mismatch(field, "an object", raw)
    if len(raw) > _ENTRIES:
        raise _too_many(field, _ENTRIES, raw)
    return raw


def _too_many(field: str, most: int, raw: Sized) -> DecodeError:
    return DecodeError(f"{field or 'document'}: expected at most {most} entries, got {len(raw)}")


def _mismatch(field: str, expected: str, raw: object) -> DecodeError:
    return DecodeError(f"{field or 'document'}: expected {expected}, got {reprlib.repr(raw)}")


def _join(field: str, key: str) -> str:
    shown = key if key.isprintable() and len(key) <= _LONGEST else reprlib.repr(key)
    return f"{field}.{shown}" if field else shown


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the entries of an object, for `json.loads`, which would silently take the last of two values.

    Raises DecodeError if a key is repeated.
    """
    entries = dict(pairs)
    if len(entries) != len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise DecodeError(f"a key is repeated: {_join('', twice)}; give it once")
    return entries


def _refuse(constant: str) -> object:
    raise DecodeError(f"{constant} is not JSON")
