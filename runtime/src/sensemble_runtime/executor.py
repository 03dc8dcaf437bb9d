"""Encoders as functions: one artifact of a bundle, loaded by the executor that its target names."""

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.spec import DType

from sensemble_runtime import _native
from sensemble_runtime.errors import BundleIncompatibleError, EncoderError

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
            EncoderError: the executor failed; names its error.
        """


class ExecutorchEncoder:
    """An ExecuTorch program (.pte) with its XNNPACK subgraphs, run without Python's ExecuTorch or torch.

    Args:
        path: the program; it is mapped into memory, so the file must stay as it is while it is loaded.
        threads: size of ExecuTorch's thread pool, which all encoders of the process share: only the first one
            can set it. 0 keeps it as it is, one thread for each performance core.

    Raises:
        BundleIncompatibleError: this ExecuTorch cannot run the program; names its error.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        try:
            self._module = _native.Module(str(path), threads)
        except RuntimeError as error:
            raise BundleIncompatibleError(f"{error}; export the bundle again with this version") from error
        self.dtype, self.shape = self._module.input
        self.embedding = self._module.output[-1]

    def __call__(self, window: Window) -> Embedding:
        """Encode a window; see `Encoder`."""
        try:
            embedding: Embedding = self._module(window)[0]
        except RuntimeError as error:
            raise EncoderError(str(error)) from error
        return embedding


EXECUTORS: dict[str, Callable[[Path, int], Encoder]] = {"executorch-xnnpack": ExecutorchEncoder}


def give_back_memory() -> None:
    """Return what freed encoders took to the system; glibc would keep a third of it for this process."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def load(path: Path, target: str, threads: int = 0) -> Encoder:
    """Load the artifact at `path` with the executor named `target`, a key of `EXECUTORS`.

    `threads` is the size of its thread pool, 0 for its own choice.

    Raises:
        BundleIncompatibleError: this installation has no such executor, or it cannot run the artifact.
    """
    if target not in EXECUTORS:
        raise BundleIncompatibleError(f"{path}: no executor {target!r} here; there is {', '.join(EXECUTORS)}")
    return EXECUTORS[target](path, threads)
