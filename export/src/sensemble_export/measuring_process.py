"""The process that measures one artifact: `python -m sensemble_export.measuring_process`.

Its arguments are ARTIFACT TARGET WINDOWS OUT. WINDOWS is a safetensors file with `windows` [N, ...]. OUT
becomes one with `embeddings` float32 [N, d], `seconds` float64 [N] (the time of each window) and `peak`
float64 [1] (resident MB after a few windows). It imports no torch, so its time and memory are the runtime's,
nor ExecuTorch's Python package, which would take over the log that the runtime's native module reads errors
from.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
from sensemble_runtime.executors import executor
from sensemble_sensors.process_memory import memory

_SETTLED = 8  # windows after which memory no longer grows and the time per window is known
_ALL_CORES = "all-cores"


def main(artifact: Path, target: str, windows: Path, out: Path, *, quick: bool = True) -> None:
    """Run every window once, after an untimed one; a slow encoder starts again on all cores."""
    encoder = executor.load(artifact, target, quick=quick)
    embeddings, seconds, peak = [], [], 0.0
    with safe_open(windows, "numpy") as file:
        rows = file.get_slice("windows")
        encoder(rows[:1])
        for index in range(rows.get_shape()[0]):
            window = rows[index : index + 1]
            start = time.perf_counter()
            embeddings.append(encoder(window))
            seconds.append(time.perf_counter() - start)
            if index < _SETTLED:
                peak = memory(most=True) / 1e6
            elif quick and index == _SETTLED and 1e3 * np.median(seconds) >= executor.QUICK:
                # A thread pool keeps its size, and memory its peak: start again as a new process.
                os.execv(sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:], _ALL_CORES])  # noqa: S606
    measured = {"embeddings": np.stack(embeddings), "seconds": np.array(seconds), "peak": np.array([peak])}
    save_file(measured, out)


if __name__ == "__main__":
    _, artifact, target, windows, out, *all_cores = sys.argv
    main(Path(artifact), target, Path(windows), Path(out), quick=not all_cores)
