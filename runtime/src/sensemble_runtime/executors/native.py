"""ExecuTorch programs, run by the native module."""

import mmap
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.errors import BundleIncompatibleError
from sensemble_runtime.executors import _native
from sensemble_runtime.executors.executor import Checked, Contents, Input, describe


class NativeEncoder(Checked):
    """An ExecuTorch program (.pte) with XNNPACK subgraphs, run without torch or ExecuTorch's Python package.

    All encoders of the process share ExecuTorch's thread pool; only the first one sets its size. With
    `threads` 0 the size stays unchanged (at first one per performance core), or is 1 if `single`.
    """

    def __init__(self, path: Path, contents: Contents, threads: int = 0, *, single: bool = False) -> None:
        try:
            self._module = _native.Module(contents[""], threads or int(single), insist=threads != 0)
            self.dtype, self.shape = self._module.input
            _, self.embedding = self._module.output
        except (RuntimeError, MemoryError, KeyError, TypeError, ValueError) as error:
            raise BundleIncompatibleError(
                f"{path}: {describe(error)}; export the bundle again with this version"
            ) from error
        super().__init__(path)
        program = contents[""]
        if isinstance(program, mmap.mmap):  # XNNPACK has packed its weights
            for begin, end in self._module.unneeded:
                first, last = -(-begin // mmap.PAGESIZE), end // mmap.PAGESIZE
                if first < last:
                    size = (last - first) * mmap.PAGESIZE
                    with suppress(OSError):  # a real-time process has locked its memory
                        program.madvise(mmap.MADV_DONTNEED, first * mmap.PAGESIZE, size)

    def _run(self, window: Input) -> NDArray[np.generic]:
        output: NDArray[np.generic] = self._module(window)
        return output
