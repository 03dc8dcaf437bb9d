"""Encoders as functions: one artifact of a bundle, loaded by the executor of its target."""

import ctypes
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.spec import DType

from sensemble_runtime.errors import BundleCorruptError, BundleIncompatibleError, EncoderError

QUICK = 2.0
"""Milliseconds a window below which an encoder gets one thread: between windows the others fall asleep, and
waking them took 0.5 to 1 ms here."""

LARGEST = 1e12
"""Bound on the magnitude of an embedding's elements and of a head's weights: far above any that training
gives, and so low that no sum of their products overflows a float32, which would make a prediction NaN."""

Contents = Mapping[str, bytes]
"""The files of an artifact by their paths in it, with `/`; an artifact that is one file has it under ``."""

Window = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.int64]
Embedding = NDArray[np.float32]


class Encoder(Protocol):
    """E_m: what turns one window into one embedding; safe to call from several threads, one at a time runs.

    Attributes:
        dtype: of the window it takes.
        shape: of the window it takes, [1, ...].
        embedding: d, the length of what it gives.
    """

    dtype: DType
    shape: tuple[int, ...]
    embedding: int

    def __call__(self, window: Window) -> Embedding:
        """Encode a window of exactly `dtype` and `shape` to float32 [d].

        Raises:
            ValueError: the window is of another dtype or shape; says which was expected.
            EncoderError: the executor failed, or what it gave is no embedding; names its error.
        """


@dataclass(frozen=True, slots=True)
class Executor:
    """What runs the artifacts of one target.

    Attributes:
        encoder: module and name of its `Encoder` class, which takes the artifact's path, for its errors, and
            its `Contents`; imported when used.
        needs: the module without which it cannot run.
        remedy: how to get that module.
        system: the one `sys.platform` it is for; empty for every one.
    """

    encoder: tuple[str, str]
    needs: str
    remedy: str
    system: str = ""


EXECUTORS = {
    "coreml": Executor(
        ("sensemble_runtime.executors.coreml", "CoreMLEncoder"),
        "coremltools",
        "`pip install sensemble-runtime[coreml]`",
        "darwin",
    ),
    "executorch-xnnpack": Executor(
        ("sensemble_runtime.executors.native", "NativeEncoder"),
        "sensemble_runtime.executors._native",
        "build it: `uv sync --reinstall-package sensemble-runtime` (needs CMake and a C++17 compiler)",
    ),
    "onnx": Executor(
        ("sensemble_runtime.executors.onnx", "OnnxEncoder"),
        "onnxruntime",
        "`pip install sensemble-runtime[onnx]`",
    ),
}
"""By target, the preferred first: Core ML reaches the Neural Engine, XNNPACK is smaller than ONNX Runtime."""


def missing(target: str) -> str:
    """Return, after the name of `target`, what this machine lacks to run its artifacts; empty if nothing."""
    executor = EXECUTORS.get(target)
    if executor is None:
        return "has no executor in this package"
    if executor.system and sys.platform != executor.system:
        return f"runs on {executor.system} alone"
    return "" if find_spec(executor.needs) else f"is not installed: {executor.remedy}"


def available() -> tuple[str, ...]:
    """Return the targets whose artifacts this machine can run, the preferred first."""
    return tuple(target for target in EXECUTORS if not missing(target))


def give_back_memory() -> None:
    """Return what freed encoders took to the system; glibc would keep a third of it for this process."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def load(
    path: Path, target: str, threads: int = 0, *, quick: bool = False, contents: Contents | None = None
) -> Encoder:
    """Load an artifact made for `target`, a key of `EXECUTORS`, from memory.

    Args:
        path: the artifact; its name in every error.
        target: for what it was made.
        threads: size of its thread pool where it has one to set, 0 for its own choice: one thread for each
            core, or a single one for an encoder so quick that waking others takes longer than they save.
        quick: whether it is.
        contents: its bytes, as they were verified; None: what lies at `path`, whatever that is.

    Raises:
        BundleIncompatibleError: this installation has no such executor, or it cannot run the artifact.
        BundleCorruptError: there is nothing to read at `path`.
    """
    if lacking := missing(target):
        raise BundleIncompatibleError(f"{path}: {target} {lacking}")
    module, name = EXECUTORS[target].encoder
    contents = _read(path) if contents is None else contents
    encoder: Encoder = getattr(import_module(module), name)(path, contents, threads, quick=quick)
    return encoder


def _read(path: Path) -> Contents:
    inside = sorted(file for file in (path, *path.rglob("*")) if file.is_file())
    if not inside:
        raise BundleCorruptError(f"{path}: there is no artifact; export it again")
    return {"" if file == path else file.relative_to(path).as_posix(): file.read_bytes() for file in inside}


def write(contents: Contents, path: Path) -> None:
    """Write an artifact to `path`, a name in a folder that nobody else writes to.

    Raises:
        OSError: it cannot be written.
    """
    for name, data in contents.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def check(window: Window, dtype: DType, shape: tuple[int, ...], path: Path) -> None:
    """Refuse a window that is not of an encoder's `dtype` and `shape`, for executors that do not themselves.

    Raises:
        ValueError: it is not; says what was expected.
    """
    if window.dtype != dtype or window.shape != shape:
        raise ValueError(
            f"{path}: expected {dtype} {list(shape)}, got {window.dtype.name} {list(window.shape)}"
        )


def check_embedding(found: NDArray[np.generic], length: int, path: Path) -> Embedding:
    """Return what an executor gave for one window, float32 [1, `length`], as an embedding, [`length`].

    Raises:
        EncoderError: it is of another form, or an element is not within `LARGEST`: NaN is not.
    """
    if found.dtype != np.float32 or found.shape != (1, length):
        raise EncoderError(
            f"{path}: gave {found.dtype.name} {list(found.shape)}, not float32 [1, {length}]; export it again"
        )
    if not np.all(np.abs(found) <= LARGEST):
        raise EncoderError(f"{path}: gave an embedding with NaN, infinity or absurd numbers; export it again")
    embedding: Embedding = found[0].astype(np.float32, copy=False)
    return embedding


def describe(error: BaseException) -> str:
    """Return an executor's error as one printable line: it may quote whatever a broken artifact holds."""
    line = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in line)
