"""Core ML packages, run by macOS through coremltools."""

from pathlib import Path
from tempfile import TemporaryDirectory

import coremltools
import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.errors import BundleIncompatibleError
from sensemble_runtime.executors.executor import Checked, Contents, Input, describe, write

_WEIGHTS = "Data/com.apple.CoreML/weights"


class CoreMLEncoder(Checked):
    """A Core ML package (.mlpackage) with one input and one output; Core ML chooses the processor.

    Core ML takes neither uint8 nor int64: the input is float32 or int32, and the metadata `dtype` names the
    dtype of windows. It cannot load from memory: the files lie in a private folder until it has compiled
    them.
    """

    def __init__(self, path: Path, contents: Contents, threads: int = 0, *, single: bool = False) -> None:
        del threads, single  # Core ML decides
        try:
            with TemporaryDirectory(prefix="sensemble-") as folder:
                package = Path(folder) / path.name
                write(contents, package)
                # Core ML expects this folder even without weight files; no manifest lists an empty folder.
                (package / _WEIGHTS).mkdir(parents=True, exist_ok=True)
                self._model = coremltools.models.MLModel(str(package))
            described = self._model.get_spec().description
            (window,), (embedding,) = described.input, described.output
            self.dtype = described.metadata.userDefined["dtype"]
            self.shape = tuple(window.type.multiArrayType.shape)
            self.embedding = int(embedding.type.multiArrayType.shape[-1])
        except Exception as error:  # Core ML raises plain RuntimeError and Exception
            raise BundleIncompatibleError(
                f"{path}: Core ML does not load it ({describe(error)}); export it again"
            ) from error
        self._dtype = np.int32 if self.dtype == "int64" else np.float32
        super().__init__(path)
        self._input, self._output = window.name, embedding.name

    def _run(self, window: Input) -> NDArray[np.generic]:
        output = self._model.predict({self._input: window.astype(self._dtype)})[self._output]
        return np.asarray(output, dtype=np.float32)
