"""Measurements of an artifact in the runtime: embeddings, latency, memory, parity with the float encoder."""

import os
import subprocess
import sys
from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

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


@dataclass(frozen=True, slots=True)
class Program:
    """An artifact to run: its bytes by path, empty for a single file; its name, for errors; its target."""

    files: Contents
    name: str
    target: str

    def costs(self, windows: Path) -> Costs:
        """Time windows of the file `windows` in a fresh process, on a machine that should do nothing else."""
        found = self._run("time", windows)
        median, peak = 1e3 * float(found["median"][0]), float(found["peak"][0])
        return Costs(median, peak, int(found["threads"][0]))

    def embed(self, windows: Path, rows: range) -> Floats:
        """Embed these rows of the file `windows` in a fresh process, by one thread; float32 [n, d]."""
        found: Floats = self._run("embed", windows, rows.start, rows.stop)["embeddings"]
        return found

    def _run(self, what: str, windows: Path, *numbers: int) -> Mapping[str, NDArray[Any]]:
        """Return what the process wrote; raises MeasurementError if it fails."""
        with TemporaryDirectory() as folder:
            out, artifact = Path(folder) / "measured.safetensors", Path(folder) / self.name
            executor.write(self.files, artifact)
            process = [sys.executable, "-P", "-m", "sensemble_export.measuring.process"]
            command = [*process, what, str(artifact), self.target, str(windows), str(out), *map(str, numbers)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
                raise MeasurementError(
                    f"{artifact.name}: does not run in the runtime ({reason}); run `sensemble doctor`"
                )
            return load_file(out)


def measure(program: Program, windows: Path) -> Measurement:
    """Time an artifact, then run it over the file `windows`; raises MeasurementError if that fails."""
    costs = program.costs(windows)
    return Measurement(embed_all({program.name: (program, windows)})[program.name], costs)


def embed_all(wanted: Mapping[Key, tuple[Program, Path]]) -> dict[Key, Floats]:
    """Run artifacts over all rows of files `windows`, in a process for each core."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        parts = {
            key: [pool.submit(program.embed, windows, rows) for rows in _shares(windows, cores)]
            for key, (program, windows) in wanted.items()
        }
        return {key: np.concatenate([part.result() for part in some]) for key, some in parts.items()}


def _shares(windows: Path, cores: int) -> list[range]:
    """Return the rows for each core, or fewer shares where there are few."""
    with safe_open(windows, "numpy") as file:
        count = file.get_slice("windows").get_shape()[0]
    size = max(_LEAST, -(-count // cores))
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


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
