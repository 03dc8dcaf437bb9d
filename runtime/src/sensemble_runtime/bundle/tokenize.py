"""Token ids of captions, the same in training and in the runtime; checks of a bundle's tokenizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.sensor import MAX_CAPTION
from sensemble_sensors.strict_json import DecodeError, document

from sensemble_runtime.bundle.tokenizer_fields import problems
from sensemble_runtime.errors import (
    BundleCorruptError,
    BundleIncompatibleError,
    EncoderError,
    SensembleRuntimeError,
)
from sensemble_runtime.executors.executor import describe

if TYPE_CHECKING:  # only a process that tokenizes loads the library
    from tokenizers import Tokenizer

PAD = 0


def tokenize(tokenizer: "Tokenizer", caption: str, length: int) -> NDArray[np.int64]:
    """Return the ids of `caption` as int64 [1, length], cut at `length` and padded with `PAD` (0)."""
    with _reported(EncoderError, "the tokenizer failed"):
        # Cut first: the library holds the interpreter's lock.
        ids = tokenizer.encode(caption[:MAX_CAPTION]).ids[:length]
    return np.array([ids + [PAD] * (length - len(ids))], dtype=np.int64)


def check_tokenizer(data: bytes, length: int, path: Path) -> None:
    """Check a `tokenizer.json` for `length` tokens (`tokenizer_fields`); raise BundleCorruptError."""
    try:
        raw = document(data.decode())
    except (UnicodeDecodeError, DecodeError) as error:
        raise BundleCorruptError(f"{path}: not a tokenizer ({error}); export the bundle again") from error
    problem = next(problems(raw, length), None)
    if problem is not None:
        raise BundleCorruptError(f"{path}: not a tokenizer ({problem}); export the bundle again")


def load_tokenizer(data: bytes, path: Path) -> "Tokenizer":
    """Return the tokenizer of a checked `tokenizer.json`, or raise a `BundleError`."""
    try:
        from tokenizers import Tokenizer  # 7 MB that only sessions with captions need
    except ImportError as error:
        remedy = "`pip install 'sensemble-runtime[text]'`"
        raise BundleIncompatibleError(
            f"{path}: needs tokenizers, which is not installed; {remedy}"
        ) from error

    with _reported(BundleCorruptError, f"{path}: not a tokenizer"):
        return Tokenizer.from_buffer(data)


@contextmanager
def _reported(kind: type[SensembleRuntimeError], prefix: str) -> Iterator[None]:
    """Raise the library's errors in the block as `kind`: plain Exceptions, and panics of its Rust code."""
    try:
        yield
    except BaseException as error:
        # A panic is a BaseException whose class cannot be imported.
        if not isinstance(error, Exception) and type(error).__module__ != "pyo3_runtime":
            raise  # Ctrl-C
        raise kind(f"{prefix} ({describe(error)}); export the bundle again") from error
