"""A form of an encoder in a process of its own, for `targets.py`: it runs windows on request.

    python contestant.py KIND ARTIFACT WINDOWS OUT THREADS

KIND is `executorch-xnnpack` or `onnx`, whose ARTIFACT is a file, or `eager` or `compile`, whose ARTIFACT is
the folder of a saved model with one encoder. WINDOWS is a safetensors file with `windows` [N, ...]. It prints
seconds to load and to the end of a first window, as JSON; then for each index on its standard input the
seconds that window took; at the end, into OUT, `embeddings` float32 [N, d] and `peak` (resident MB).
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.executor import Embedding, Input


class Contestant:
    """A process with one encoder in it, which encodes a window on request and is idle otherwise."""

    def __init__(self, kind: str, artifact: Path, windows: Path, threads: str) -> None:
        self.out = artifact.with_suffix(f".{kind}.safetensors")
        command: list[str | Path] = [sys.executable, __file__, kind, artifact, windows, self.out, threads]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.loaded, self.first = json.loads(self._answer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.__exit__(None, None, None)

    def encode(self, index: int) -> float:
        """Return the milliseconds that the window took."""
        assert self._process.stdin is not None
        print(index, file=self._process.stdin, flush=True)
        return float(self._answer()) * 1e3

    def finish(self) -> dict[str, NDArray[np.float32]]:
        """Return what it wrote at its end."""
        self._process.communicate()
        return load_file(self.out)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def load(kind: str, artifact: Path, threads: int) -> Callable[[Input], Embedding]:
    """Load an encoder as a function from a window [1, ...] to an embedding [d], with what it imports."""
    if kind not in {"eager", "compile"}:
        return executor.load(artifact, kind, threads)
    import torch
    from sensemble_train.models.model import load_model

    (encoder,) = load_model(artifact).encoders.values()
    forward = torch.compile(encoder) if kind == "compile" else encoder

    @torch.inference_mode()
    def run(window: Input) -> Embedding:
        embedding: Embedding = forward(torch.from_numpy(window))[0].numpy()
        return embedding

    return run


def main(kind: str, artifact: Path, windows: Path, out: Path, threads: int) -> None:
    with safe_open(windows, "numpy") as file:
        rows = file.get_slice("windows")
        start = time.perf_counter()
        encoder = load(kind, artifact, threads)
        loaded = time.perf_counter()
        embeddings = np.stack([encoder(rows[:1])] * rows.get_shape()[0])
        print(json.dumps([loaded - start, time.perf_counter() - start]), flush=True)
        for line in sys.stdin:
            index = int(line)
            window = rows[index : index + 1]
            start = time.perf_counter()
            embeddings[index] = encoder(window)
            print(time.perf_counter() - start, flush=True)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    save_file({"embeddings": embeddings, "peak": np.array([peak])}, out)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
