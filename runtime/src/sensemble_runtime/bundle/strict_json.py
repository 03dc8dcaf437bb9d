"""Strict JSON to dataclasses: no key missing or unknown, every value of its type and in its bounds."""

import dataclasses
import json
import math
import reprlib
import types
from collections.abc import Callable, Sized
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from sensemble_sensors.errors import SpecError

_PLAIN: dict[type, str] = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}
_LONGEST = 4096  # characters of a string, so that an error that quotes one stays a line
_ENTRIES = 4096  # of an object; ours are by modality, target, set of modalities or package
_ITEMS = 100_000  # of a list; the longest is of labels
_EXACT = 2**53  # beyond it a float no longer holds every integer, and readers in other languages disagree


class DecodeError(ValueError):
    """A JSON document does not fit the dataclasses; the message is one line that names the field."""


def document(text: str) -> object:
    """Parse `text` as JSON, without the extensions of Python's parser.

    Raises DecodeError if it is not JSON, is nested too deep, repeats a key, or has a number that is not
    finite.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
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

    A number may have bounds, both included: `Annotated[float, (0, 1)]`. `field` is its dotted place in the
    document. A field that is missing, unknown or of another type raises DecodeError.
    """
    if read := _READERS.get(get_origin(kind)):
        return read(get_args(kind), raw, field)
    return _dataclass(kind, raw, field) if dataclasses.is_dataclass(kind) else _plain(kind, raw, field)


def _bounded(kind: Any, raw: object, field: str) -> Any:  # noqa: ANN401 - a number
    value, (least, most) = decode(kind[0], raw, field), kind[1]
    if not least <= value <= most:
        raise DecodeError(f"{field or 'document'}: expected {least:g} to {most:g}, got {value}")
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
    Annotated: _bounded,
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
    unbounded = {one.name for one in dataclasses.fields(kind) if one.default in (math.inf, -math.inf)}
    for key in [*hints, *entries]:
        if key not in entries and key in unbounded:
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


def _plain(kind: type, raw: object, field: str) -> object:
    if isinstance(raw, bool) is not (kind is bool) or not isinstance(
        raw, (int, float) if kind is float else kind
    ):
        raise _mismatch(field, _PLAIN[kind], raw)
    if isinstance(raw, int | float) and not abs(raw) <= _EXACT:
        raise _mismatch(field, f"{_PLAIN[kind]} within 2^53", raw)
    if isinstance(raw, str) and not raw.isprintable():  # lone surrogates, line breaks and terminal escapes
        raise _mismatch(field, "printable text", raw)
    if isinstance(raw, str) and len(raw) > _LONGEST:
        raise _mismatch(field, f"at most {_LONGEST} characters", raw)
    return float(raw) if isinstance(raw, int) and kind is float else raw


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


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise DecodeError("a key is repeated")
    return entries


def _refuse(constant: str) -> object:
    raise DecodeError(f"{constant} is not JSON")
