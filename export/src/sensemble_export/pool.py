"""Lowering several encoders at once, in processes, and what a delegate took of each."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from sensemble_export.errors import NotLowerableError, ParityFailedError
from sensemble_export.targets import Job


@dataclass(frozen=True, slots=True)
class Delegation:
    """How an ExecuTorch program is divided.

    Attributes:
        subgraphs: parts that the delegate (XNNPACK or Core ML) runs; one is the aim, for between two
            everything is copied.
        delegated: operations in them, by name.
        remaining: operations that ExecuTorch's own kernels run, by name.
    """

    subgraphs: int
    delegated: dict[str, int]
    remaining: dict[str, int]


def lower_all(folder: Path, jobs: Sequence[Job], done: Callable[[], None]) -> dict[str, Delegation]:
    """Have `sensemble_export.worker` do `jobs` on `folder`, in a process for each core.

    Args:
        folder: holds the saved model and the calibration windows, and gets the artifacts.
        jobs: the longest first; they are dealt out in turn.
        done: called after each job, from other threads.

    Returns:
        By artifact (`Job.file`), how each program for ExecuTorch is divided.

    Raises:
        NotLowerableError: one of them failed; the others are stopped.
        ParityFailedError: what one of them wrote is not what it should be; the others are stopped.
    """
    count = min(os.cpu_count() or 1, len(jobs))
    workers: list[subprocess.Popen[bytes]] = []
    divisions: dict[str, Delegation] = {}
    with ThreadPoolExecutor(count) as pool, tempfile.TemporaryFile("w+") as chatter:
        try:
            watches = []
            for first in range(count):
                worker, reports = _start(folder, jobs[first::count], chatter)
                workers.append(worker)
                watches.append(pool.submit(_watch, worker, reports, divisions, done))
            for watched in as_completed(watches):
                if watched.result():
                    chatter.seek(0)
                    last = chatter.read().strip().rpartition("\n")[2]
                    raise NotLowerableError(f"the exporting process failed ({last}); run `sensemble doctor`")
        finally:
            for worker in workers:
                worker.kill()
    return divisions


def _start(folder: Path, jobs: Sequence[Job], chatter: TextIO) -> tuple[subprocess.Popen[bytes], TextIO]:
    """Start a worker; its reports come by a pipe of their own, what libraries say goes to `chatter`."""
    reports, given = os.pipe()
    dealt = [json.dumps(asdict(job)) for job in jobs]
    command = [sys.executable, "-m", "sensemble_export.worker", str(folder), str(given), *dealt]
    try:
        worker = subprocess.Popen(command, stdout=chatter, stderr=chatter, pass_fds=(given,))
    finally:
        os.close(given)
    return worker, os.fdopen(reports, encoding="utf-8")


def _watch(
    worker: subprocess.Popen[bytes],
    reports: TextIO,
    divisions: dict[str, Delegation],
    done: Callable[[], None],
) -> int:
    """Follow what `worker` reports to its end, and return its exit status."""
    with worker, reports:
        for line in reports:
            report = json.loads(line)
            if "missing" in report:
                name = report["missing"]
                raise NotLowerableError(f"{report['job']}: needs {name}, not installed; `pip install {name}`")
            if "mismatch" in report:
                raise ParityFailedError(f"{report['job']}: read back, {report['mismatch']}; file it as a bug")
            if "error" in report:
                raise NotLowerableError(
                    f"{report['job']}: cannot be lowered ({report['error']}); choose another scheme or "
                    "target, or change the encoder to operations that this one takes"
                )
            if report["delegation"] is not None:
                divisions[report["job"]] = Delegation(**report["delegation"])
            done()
    return worker.returncode
