"""Token ids of captions, the same in training and in the runtime; checks of a bundle's tokenizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.strict_json import DecodeError, document
from sensemble_runtime.errors import BundleCorruptError, EncoderError, SensembleRuntimeError
from sensemble_runtime.executors.executor import describe

if TYPE_CHECKING:  # only a process that tokenizes loads the library
    from tokenizers import Tokenizer

PAD = 0


def tokenize(tokenizer: "Tokenizer", caption: str, length: int) -> NDArray[np.int64]:
    """Return the ids of `caption` as int64 [1, length], cut at `length` and padded with `PAD` (0).

    Raises:
        EncoderError: the tokenizer failed.
    """
    with _reported(EncoderError, "the tokenizer failed"):
        ids = tokenizer.encode(caption).ids[:length]
    return np.array([ids + [PAD] * (length - len(ids))], dtype=np.int64)


def check_tokenizer(data: bytes, length: int, path: Path) -> None:
    """Check the truncation and padding that a `tokenizer.json` asks for, without loading the library.

    The library does not check them: a stride as long as the text makes it panic, and a large padding takes
    all memory.

    Args:
        data: the bytes of the file.
        length: the number of tokens that the encoder takes.
        path: names the file in errors.

    Raises:
        BundleCorruptError: the bytes are not JSON, or a value is not allowed; names the field.
    """
    try:
        raw = document(data.decode())
    except (UnicodeDecodeError, DecodeError) as error:
        raise BundleCorruptError(f"{path}: not a tokenizer ({error}); export the bundle again") from error
    problem = _problem(raw, length)
    if problem:
        raise BundleCorruptError(f"{path}: not a tokenizer ({problem}); export the bundle again")


def load_tokenizer(data: bytes, path: Path) -> "Tokenizer":
    """Return the tokenizer that the bytes of a checked `tokenizer.json` describe.

    Raises:
        BundleCorruptError: they describe no tokenizer.
    """
    from tokenizers import Tokenizer  # 7 MB that only sessions with captions need

    with _reported(BundleCorruptError, f"{path}: not a tokenizer"):
        return Tokenizer.from_buffer(data)


def _problem(raw: object, length: int) -> str:
    """Return `FIELD: problem`, or an empty string."""
    if not isinstance(raw, dict):
        return "expected an object"
    cut, pad = raw.get("truncation"), raw.get("padding")
    if cut is not None:
        if not isinstance(cut, dict) or not _within(cut.get("max_length"), 1, 2**31 - 1):
            return "truncation.max_length: expected at least 1"
        if not _within(cut.get("stride"), 0, 0):
            return "truncation.stride: expected 0, for a caption is one window"
    if pad is not None:
        if not isinstance(pad, dict) or not _is_strategy(pad.get("strategy"), length):
            return f"padding.strategy: expected BatchLongest, or Fixed up to the encoder's length, {length}"
        multiple = pad.get("pad_to_multiple_of")
        if multiple is not None and not _within(multiple, 1, length):
            return f"padding.pad_to_multiple_of: expected 1 to the encoder's length, {length}"
    return ""


def _is_strategy(value: object, length: int) -> bool:
    return value == "BatchLongest" or (isinstance(value, dict) and _within(value.get("Fixed"), 0, length))


def _within(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


@contextmanager
def _reported(kind: type[SensembleRuntimeError], prefix: str) -> Iterator[None]:
    """Raise the library's errors in the block as `kind`, panics of its Rust code included.

    The library raises plain Exceptions. A panic is a BaseException whose class cannot be imported.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
            raise  # Ctrl-C
        raise kind(f"{prefix} ({describe(error)}); export the bundle again") from error
