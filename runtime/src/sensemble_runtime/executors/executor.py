"""Executors: each loads the artifacts of one target, as functions from a window to an embedding."""

import ctypes
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import text_of
from sensemble_sensors.libraries import plugin
from sensemble_sensors.spec import DType

from sensemble_runtime.errors import BundleCorruptError, BundleIncompatibleError, EncoderError

LARGEST = 1e12
"""The largest magnitude of an embedding's elements and a head's weights: no sum of products overflows."""

Contents = Mapping[str, bytes | mmap]  # an artifact's files by path in it, with `/`; a single one has ``

Input = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.int64]
Embedding = NDArray[np.float32]


class Encoder(Protocol):
    """E_m, from a window of `dtype` and `shape`, [1, ...], to an embedding [`embedding`]; thread-safe."""

    dtype: DType
    shape: tuple[int, ...]
    embedding: int

    def __call__(self, window: Input) -> Embedding:
        """Encode a window to float32 [d]; ValueError for another form, EncoderError for any failure."""


@dataclass(frozen=True, slots=True)
class Executor:
    """The executor of one target."""

    encoder: tuple[str, str]  # module and name of a class, called with a path, for errors, and `Contents`
    needs: str  # a module
    remedy: str  # says how to install it
    system: str = ""  # the only `sys.platform` that it runs on; empty for all
    mapped: bool = False  # takes each file as private memory, of which it frees what it does not need


GROUP = "sensemble.executors"  # entry points of installed packages: a target's name, an `Executor`

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
        mapped=True,
    ),
    "onnx": Executor(
        ("sensemble_runtime.executors.onnx", "OnnxEncoder"),
        "onnxruntime",
        "`pip install sensemble-runtime[onnx]`",
    ),
}
"""By target, in order of preference: Core ML has the Neural Engine, XNNPACK takes less memory than ONNX."""


def executor_of(target: str) -> Executor | None:
    """Return the executor of a target: ours, or an installed package's; None without one.

    Raises BundleIncompatibleError if it cannot be loaded.
    """
    return EXECUTORS.get(target) or _installed(target)


@cache
def _installed(target: str) -> Executor | None:
    return plugin(GROUP, target, BundleIncompatibleError, kind=Executor)


def missing(target: str) -> str:
    """Return why this machine cannot run `target`, to be read after its name; empty if it can."""
    try:
        executor = executor_of(target)
    except BundleIncompatibleError as error:
        return f"has an executor that fails: {error}"
    if executor is None:
        return "has no executor in this package"
    if executor.system and sys.platform != executor.system:
        return f"runs on {executor.system} alone"
    with suppress(ImportError):  # of a package that the module would be in
        if find_spec(executor.needs):
            return ""
    return f"is not installed: {executor.remedy}"


def known() -> list[str]:
    """Return the targets of our executors and of installed packages', in order of preference."""
    from importlib.metadata import entry_points

    return in_order({*EXECUTORS, *(entry.name for entry in entry_points(group=GROUP))})


def available() -> tuple[str, ...]:
    """Return the targets whose artifacts this machine can run, in order of preference."""
    return tuple(target for target in known() if not missing(target))


def in_order(targets: Iterable[str]) -> list[str]:
    """Sort targets by preference: ours as in `EXECUTORS`, then those of installed packages by name."""
    ours = list(EXECUTORS)
    return sorted(targets, key=lambda one: (ours.index(one) if one in ours else len(ours), one))


def give_back_memory() -> None:
    """Return freed memory to the system: glibc would keep a third of an encoder's, and what loading took."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def load(
    path: Path, target: str, threads: int = 0, *, single: bool = False, contents: Contents | None = None
) -> Encoder:
    """Load an artifact made for `target`: its verified `contents`, or the unverified file at `path`.

    A `mapped` executor clears parts of `contents`: load from them once. `threads` is the size of the
    executor's pool; 0 means one per core, or one if a `single` thread is best for the encoder. Raises
    BundleIncompatibleError if there is no such executor here, or it cannot run the artifact;
    BundleCorruptError if there is no artifact.
    """
    lacking, executor = missing(target), executor_of(target)
    if lacking or executor is None:
        raise BundleIncompatibleError(f"{path}: {target} {lacking}")
    module, name = executor.encoder
    contents = _read(path, mapped=executor.mapped) if contents is None else contents
    try:
        found = import_module(module)
    except ImportError as error:  # a library that it was linked to, which the text names
        remedy = "install sensemble-runtime again"
        raise BundleIncompatibleError(f"{path}: {target} cannot be loaded ({error}); {remedy}") from error
    encoder: Encoder = getattr(found, name)(path, contents, threads, single=single)
    return encoder


def copied(chunks: Iterable[bytes], size: int) -> mmap:
    """Return the bytes of `chunks`, at least a zero, in memory whose pages can be freed one by one."""
    memory = mmap(-1, max(size, 1), access=ACCESS_COPY)  # of this process alone
    for chunk in chunks:
        memory.write(chunk)
    return memory


def _read(path: Path, *, mapped: bool) -> Contents:
    inside = sorted(file for file in (path, *path.rglob("*")) if file.is_file())
    if not inside:
        raise BundleCorruptError(f"{path}: there is no artifact; export it again")
    read = _mapped if mapped else Path.read_bytes
    return {"" if file == path else file.relative_to(path).as_posix(): read(file) for file in inside}


def _mapped(file: Path) -> mmap:
    with file.open("rb") as opened:
        return copied(iter(partial(opened.read, 1 << 20), b""), file.stat().st_size)


def write(contents: Contents, path: Path) -> None:
    """Write an artifact to `path`, in a folder that nobody else writes to."""
    for name, data in contents.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


class Checked(ABC):
    """An `Encoder` that runs one call at a time and checks windows and embeddings: not every library does."""

    dtype: DType
    shape: tuple[int, ...]
    embedding: int

    def __init__(self, path: Path) -> None:
        self._path, self._running = path, threading.Lock()

    def __call__(self, window: Input) -> Embedding:
        """Encode a window; see `Encoder`."""
        if window.dtype != self.dtype or window.shape != self.shape:
            raise ValueError(
                f"{self._path}: expected {self.dtype} {list(self.shape)}, got {window.dtype.name} "
                f"{list(window.shape)}"
            )
        try:
            with self._running:
                output = self._run(window)
        except Exception as error:  # each library has its own
            raise EncoderError(f"{self._path}: {describe(error)}") from error
        if output.dtype != np.float32 or output.shape != (1, self.embedding):
            raise EncoderError(
                f"{self._path}: gave {output.dtype} {list(output.shape)}, not float32 [1, {self.embedding}]; "
                "export it again"
            )
        if not np.all(np.abs(output) <= LARGEST):
            raise EncoderError(
                f"{self._path}: gave an embedding with NaN, infinity or absurd numbers; export it again"
            )
        embedding: Embedding = output[0].astype(np.float32, copy=False)
        return embedding

    @abstractmethod
    def _run(self, window: Input) -> NDArray[np.generic]:
        """Return the library's output for a window, float32 [1, d] if all is well."""


def describe(error: BaseException) -> str:
    """Return an executor's error as one printable line: it may quote the bytes of a broken artifact."""
    line = text_of(error) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in line)
