"""ExecuTorch programs, by the native module."""

from pathlib import Path

from sensemble_runtime import _native
from sensemble_runtime.errors import BundleIncompatibleError, EncoderError
from sensemble_runtime.executor import Embedding, Window


class NativeEncoder:
    """An ExecuTorch program (.pte) with its XNNPACK subgraphs, run without Python's ExecuTorch or torch.

    Args:
        path: the program; it is mapped into memory, so the file must stay as it is while it is loaded.
        threads: size of ExecuTorch's thread pool, which all encoders of the process share: only the first one
            can set it. 0 leaves it as it is, at first one thread for each performance core.
        quick: whether waking threads would take longer than they save; the pool gets one thread then, unless
            `threads` says otherwise or another encoder uses it already.

    Raises:
        BundleIncompatibleError: this ExecuTorch cannot run the program; names its error.
    """

    def __init__(self, path: Path, threads: int = 0, *, quick: bool = False) -> None:
        try:
            self._module = _native.Module(str(path), threads or int(quick), insist=threads != 0)
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
