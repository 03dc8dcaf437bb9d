"""The first load of a bundle's encoders, each in a separate process, with all rights of its user."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sensemble_sensors.clock import REAL
from sensemble_sensors.kinds.registry import kind_of

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import BundleChangedError, SensembleRuntimeError
from sensemble_runtime.executors.executor import Input, describe

LIMIT = 60.0  # seconds for loading an encoder and encoding a few windows
_WINDOWS = 4
_CAPTION = "a caption, to be encoded"


@dataclass(frozen=True, slots=True)
class Probed:
    """The result for one encoder: the longest time of a window, or None and the problem."""

    modality: str
    target: str
    latency_ms: float | None
    problem: str


def probe(path: Path, trust: Path | None = None, limit: float = LIMIT) -> Iterator[Probed]:
    """Load each encoder of the bundle in folder `path` in a separate process, and encode there."""
    bundle = Bundle.open(path, trust=trust)
    for modality in bundle.modalities:
        latency, problem = _run(bundle, modality, limit)
        yield Probed(modality, bundle.executors[modality], latency, problem)


def _run(bundle: Bundle, modality: str, limit: float) -> tuple[float | None, str]:
    given = (str(bundle.path.resolve()), modality, bundle.fingerprint)
    command = [sys.executable, "-P", "-m", "sensemble_runtime.bundle.probe", *given]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"did not return within {limit:g} s"
    if done.returncode < 0:
        return None, f"crashed with {signal.Signals(-done.returncode).name}"
    try:
        return float(done.stdout), ""
    except ValueError:
        lines = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
        return None, lines[-1]


def main(path: Path, modality: str, fingerprint: str) -> None:
    """Encode a few windows of the bundle of that fingerprint, and print the longest time in milliseconds."""
    bundle = Bundle.open(path)
    if bundle.fingerprint != fingerprint:
        raise BundleChangedError(f"{path}: has changed since it was opened; check it again")
    bundle.load(modality)
    times = []
    for window in _windows(bundle, modality):
        start = REAL.now()
        bundle.head.probabilities(bundle.encode(modality, window))
        times.append(1e3 * (REAL.now() - start))
    sys.stdout.write(f"{max(times)}\n")


def _windows(bundle: Bundle, modality: str) -> Iterator[Input | str]:
    spec = bundle.specs[modality]
    yield np.zeros(spec.shape, spec.dtype)
    generator = np.random.default_rng(0)
    for _ in range(1, _WINDOWS):
        if kind_of(spec).tokenized:
            yield _CAPTION
        elif spec.dtype == "uint8":
            yield generator.integers(0, 256, spec.shape, np.uint8)
        else:
            yield generator.uniform(-1, 1, spec.shape).astype(np.float32)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *sys.argv[2:])
    except SensembleRuntimeError as error:
        sys.exit(describe(error))
