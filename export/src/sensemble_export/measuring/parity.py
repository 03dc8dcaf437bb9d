"""Measurements of an artifact in the runtime: embeddings, latency, memory, parity with the float encoder."""

import os
import subprocess
import sys
from collections.abc import Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.manifest import Parity, Scheme
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.executor import Contents

from sensemble_export.errors import MeasurementError

Floats = NDArray[np.float32]
Key = TypeVar("Key", bound=Hashable)

FLOATS = {"fp32": 0.9999, "fp16": 0.999}  # the least mean cosine similarity: only rounding may differ
LEAST_COSINE = 0.98  # of a quantized artifact that is worth shipping
_LEAST = 100  # windows that are worth a process
_BYTES = 1_000_000_000  # of the copies of an artifact that processes load at once


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of a window by one artifact, alone on this machine."""

    median_ms: float  # of a window
    peak_mb: float | None  # resident (10^6 bytes), of the whole process; None in a browser
    threads: int | None  # 1, or 0 for one per core where that is well faster; None in a browser


@dataclass(frozen=True, slots=True)
class Measurement:
    """An artifact's embeddings of the held-out windows, and its costs."""

    embeddings: Floats  # [N, d]
    costs: Costs


def least_cosine(scheme: Scheme) -> float:
    """Return the least mean cosine similarity to the trained encoder with which an artifact ships."""
    return FLOATS.get(scheme, LEAST_COSINE)


def is_close(scheme: Scheme, parity: Parity) -> bool:
    """Return whether an artifact of this parity may ship."""
    return parity.cosine >= least_cosine(scheme)  # False for NaN


class Program:
    """An artifact to run: a file or a folder, which is removed when the block ends."""

    def __init__(self, files: Contents, name: str, target: str) -> None:
        """Take its bytes by path, empty for a single file; its name, for errors; its target."""
        self.files, self.name, self.target = files, name, target

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory()
        self._artifact = Path(self._folder.name) / self.name
        executor.write(self.files, self._artifact)
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def time(self, windows: Path) -> Measurement:
        """Time the first windows of a file in a fresh process, on a machine that should do nothing else."""
        found = self._run("time", windows)
        median, peak = 1e3 * float(found["median"][0]), float(found["peak"][0])
        return Measurement(found["embeddings"], Costs(median, peak, int(found["threads"][0])))

    def embed(self, windows: Path, rows: range) -> Floats:
        """Embed these rows of a file in a fresh process, by one thread; float32 [n, d]."""
        found: Floats = self._run("embed", windows, rows.start, rows.stop)["embeddings"]
        return found

    def _run(self, what: str, windows: Path, *numbers: int) -> Mapping[str, NDArray[Any]]:
        """Return what the process wrote; raises MeasurementError if it fails."""
        with TemporaryDirectory() as folder:
            out = Path(folder) / "measured.safetensors"
            process = [sys.executable, "-P", "-m", "sensemble_export.measuring.process"]
            command = [*process, what, str(self._artifact), self.target, str(windows), str(out)]
            command += map(str, numbers)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
                raise MeasurementError(
                    f"{self.name}: does not run in the runtime ({reason}); run `sensemble doctor`"
                )
            return load_file(out)

    def shares(self, first: int, count: int) -> list[range]:
        """Return the rows from `first` to `count` for each core; fewer shares of few, or of much to load."""
        processes = min(os.cpu_count() or 1, max(1, _BYTES // sum(map(len, self.files.values()))))
        size = max(_LEAST, -(-(count - first) // processes))
        return [range(start, min(start + size, count)) for start in range(first, count, size)]


def measure(files: Contents, name: str, target: str, windows: Path) -> Measurement:
    """Time an artifact and run it over the file `windows`; raises MeasurementError if that fails."""
    with Program(files, name, target) as program:
        timed = program.time(windows)
        ((_, rest),) = embedded({name: (program, windows)}, {name: timed.embeddings})
    if isinstance(rest, MeasurementError):
        raise rest
    return Measurement(rest, timed.costs)


def embedded(
    wanted: Mapping[Key, tuple[Program, Path]], begun: Mapping[Key, Floats] | None = None
) -> Iterator[tuple[Key, Floats | MeasurementError]]:
    """Run artifacts over all rows of files of windows, in a process for each core; yield them as they end.

    `begun` has the embeddings of the first rows, which are not run again.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        parts = dict[Key, list[Future[Floats]]]()
        for key, (program, windows) in wanted.items():
            first = len(begun[key]) if begun else 0
            shares = program.shares(first, _rows(windows))
            parts[key] = [pool.submit(program.embed, windows, rows) for rows in shares]
        for key, some in parts.items():
            try:
                rest = [part.result() for part in some]
            except MeasurementError as error:
                yield key, error
            else:
                yield key, np.concatenate([begun[key], *rest] if begun else rest)
    finally:
        pool.shutdown(cancel_futures=True)


def _rows(windows: Path) -> int:
    with safe_open(windows, "numpy") as file:
        count: int = file.get_slice("windows").get_shape()[0]
    return count


def compare(found: Floats, expected: Floats, head: Head) -> Parity:
    """Compare an artifact's embeddings [N, d] and the classes of `head` for them with the float encoder's."""
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (found * expected).sum(axis=1) / np.maximum(norms, np.finfo(np.float32).tiny)
    errors = np.abs(found - expected)
    agree = (_decisions(head, found) == _decisions(head, expected)).all(axis=1).mean()
    return Parity(float(cosines.mean()), float(errors.max()), float(errors.mean()), len(found), float(agree))


def _decisions(head: Head, embeddings: Floats) -> NDArray[np.bool_]:
    """Return the head's classes of each embedding: bool [N, C]."""
    found = head.probabilities(embeddings)
    if head.task == "multi-class":
        return np.asarray(found == found.max(axis=1, keepdims=True))
    return np.asarray(found > 0.5)
