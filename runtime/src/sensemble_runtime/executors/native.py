"""ExecuTorch programs, run by the native module."""

from pathlib import Path

from sensemble_runtime.errors import BundleIncompatibleError, EncoderError
from sensemble_runtime.executors import _native
from sensemble_runtime.executors.executor import Contents, Embedding, Input, check, check_embedding, describe


class NativeEncoder:
    """An ExecuTorch program (.pte) with XNNPACK subgraphs, run without torch or ExecuTorch's Python package.

    All encoders of the process share ExecuTorch's thread pool, and only the first one can set its size.

    With `threads` 0 it stays as it is, one per performance core at first, or is 1 if the encoder is `quick`.

    Raises:
        BundleIncompatibleError: this ExecuTorch cannot run the program; names its error.
    """

    def __init__(self, path: Path, contents: Contents, threads: int = 0, *, quick: bool = False) -> None:
        try:
            self._module = _native.Module(contents[""], threads or int(quick), insist=threads != 0)
            self.dtype, self.shape = self._module.input
            _, self.embedding = self._module.output
        except (RuntimeError, MemoryError, KeyError, TypeError, ValueError) as error:
            raise BundleIncompatibleError(
                f"{path}: {describe(error)}; export the bundle again with this version"
            ) from error
        self._path = path

    def __call__(self, window: Input) -> Embedding:
        """Encode a window; see `Encoder`."""
        check(window, self.dtype, self.shape, self._path)
        try:
            output = self._module(window)
        except (RuntimeError, MemoryError) as error:
            raise EncoderError(f"{self._path}: {describe(error)}") from error
        return check_embedding(output, self.embedding, self._path)
