"""The process that runs one artifact: `python -m sensemble_export.measuring.process`.

Its arguments are `embed ARTIFACT TARGET WINDOWS OUT FIRST END` or `time ARTIFACT TARGET WINDOWS OUT`. WINDOWS
is a safetensors file with `windows` [N, ...]. OUT becomes one with `embeddings` float32 [END - FIRST, d] of
these rows; or with those of the first windows, `median` float64 [1] (the seconds of one), `peak` float64 [1]
(resident MB after a few) and `threads` int64 [1]. It imports no torch, so its time and memory are the
runtime's, nor ExecuTorch's Python package, which would take over the log that the runtime's native module
reads errors from.
"""

import os
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
from sensemble_runtime.executors import executor
from sensemble_sensors.clock import REAL, sleep
from sensemble_sensors.process_memory import memory

_SETTLED = 8  # windows after which memory no longer grows and the time per window is known
_TIMED = 200  # windows, of which the median is the time
_REST = 0.02  # seconds before each of the first: a session has rests, after which threads must be woken
# Seconds a window that make all cores worth it: their threads wake 50 times a window, take half as much again
# of the processors' time, and wait for other programs.
_WORTH = 0.005


def embed(artifact: Path, target: str, windows: Path, out: Path, first: int, end: int) -> None:
    """Embed some windows, by one thread."""
    encoder = executor.load(artifact, target, 1)
    with safe_open(windows, "numpy") as file:
        rows = file.get_slice("windows")
        found = np.stack([encoder(rows[index : index + 1]) for index in range(first, end)])
    save_file({"embeddings": found}, out)


def time(artifact: Path, target: str, windows: Path, out: Path, *before: float) -> None:
    """Time and embed the first windows, by one thread, or by all cores if they are well faster.

    One window before them is not timed.

    `before` has the median seconds of the trials so far: with all cores, then with one thread.
    """
    threads = int(len(before) == 1)
    encoder = executor.load(artifact, target, threads)
    embeddings, seconds = [], list[float]()
    with safe_open(windows, "numpy") as file:
        rows = file.get_slice("windows")
        count = min(rows.get_shape()[0], _TIMED)
        encoder(rows[:1])
        for index in range(count):
            window = rows[index : index + 1]
            if index < _SETTLED:
                sleep(REAL, _REST)
            start = REAL.now()
            embeddings.append(encoder(window))
            seconds.append(REAL.now() - start)
            if index < _SETTLED:
                peak = memory(most=True) / 1e6
            if index + 1 == min(_SETTLED, count):
                median = float(np.median(seconds))
                if not before or (threads and median > before[0] + _WORTH):
                    # A thread pool keeps its size, and memory its peak: start again as a new process.
                    command = [sys.executable, "-P", "-m", __spec__.name, *sys.argv[1:], str(median)]
                    os.execv(sys.executable, command)  # noqa: S606
    costs = {"median": np.median(seconds), "peak": peak, "threads": threads}
    found = {"embeddings": np.stack(embeddings)} | {name: np.array([one]) for name, one in costs.items()}
    save_file(found, out)


if __name__ == "__main__":
    _, what, artifact, target, windows, out, *numbers = sys.argv
    files = Path(artifact), target, Path(windows), Path(out)
    if what == "embed":
        embed(*files, *map(int, numbers))
    else:
        time(*files, *map(float, numbers))
