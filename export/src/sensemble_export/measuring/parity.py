"""Measurements of an artifact in the runtime: embeddings, latency, memory, parity with the float encoder."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.manifest import Parity, Scheme
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.executor import Contents

from sensemble_export.errors import MeasurementError

Floats = NDArray[np.float32]

FLOATS = {"fp32": 0.9999, "fp16": 0.999}  # the least mean cosine similarity: only rounding may differ
LEAST_COSINE = 0.98  # of a quantized artifact that is worth shipping


@dataclass(frozen=True, slots=True)
class Measurement:
    """The measurement of one artifact in a separate process."""

    embeddings: Floats  # [N, d]
    median_ms: float  # of a window
    peak_mb: float | None  # resident (10^6 bytes), of the whole process; None in a browser
    threads: int | None  # 1, or 0 for one per core where that is well faster; None in a browser


def least_cosine(scheme: Scheme) -> float:
    """Return the least mean cosine similarity to the trained encoder with which an artifact ships."""
    return FLOATS.get(scheme, LEAST_COSINE)


def is_close(scheme: Scheme, parity: Parity) -> bool:
    """Return whether an artifact of this parity may ship."""
    return parity.cosine >= least_cosine(scheme)  # False for NaN


def measure(
    files: Contents, name: str, target: str, windows: Path, threads: int | None = None
) -> Measurement:
    """Run an artifact over the file `windows` in a fresh process; raises MeasurementError if that fails.

    `files` has its bytes by path, empty for a single file; `name` is for errors. `threads` is 1, or 0
    for one per core; without it, both are tried.
    """
    with TemporaryDirectory() as folder:
        out, artifact = Path(folder) / "measured.safetensors", Path(folder) / name
        executor.write(files, artifact)
        process = [sys.executable, "-P", "-m", "sensemble_export.measuring.process"]
        tried = [] if threads is None else ["inf"] * (2 - threads)
        command = [*process, str(artifact), target, str(windows), str(out), *tried]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
            raise MeasurementError(
                f"{artifact.name}: does not run in the runtime ({reason}); run `sensemble doctor`"
            )
        found = load_file(out)
    median, peak = 1e3 * float(np.median(found["seconds"])), float(found["peak"][0])
    return Measurement(found["embeddings"], median, peak, int(found["threads"][0]))


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
