"""ONNX models, run by ONNX Runtime on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from sensemble_runtime.errors import BundleIncompatibleError
from sensemble_runtime.executors.executor import Checked, Contents, Input, describe

_DTYPES: dict[str, Any] = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int64)": "int64"}
_ERRORS_ONLY = 3
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


class OnnxEncoder(Checked):
    """An ONNX model (.onnx) with one input, one output and its weights inside."""

    def __init__(self, path: Path, contents: Contents, threads: int = 0, *, single: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or int(single)
        options.log_severity_level = _ERRORS_ONLY
        try:
            # External weights would be read from the working directory; under a file there are none.
            options.add_session_config_entry(_WEIGHTS_FOLDER, str(path))
            self._session = onnxruntime.InferenceSession(
                contents[""], options, providers=["CPUExecutionProvider"]
            )
            (window,), (embedding,) = self._session.get_inputs(), self._session.get_outputs()
            self.dtype, self.shape = _DTYPES[window.type], tuple(window.shape)
            _, self.embedding = embedding.shape
        except Exception as error:  # ONNX Runtime's errors share no narrower base class
            raise BundleIncompatibleError(
                f"{path}: ONNX Runtime {onnxruntime.__version__} does not run it ({describe(error)}); "
                "export it again"
            ) from error
        super().__init__(path)
        self._input = window.name

    def _run(self, window: Input) -> NDArray[np.generic]:
        (output,) = self._session.run(None, {self._input: window})
        return np.asarray(output)
