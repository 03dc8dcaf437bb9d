"""Lowering several encoders at once, in processes."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from sensemble_export.errors import ExportError, NotLowerableError, ParityFailedError
from sensemble_export.partition_report import Delegation
from sensemble_export.targets import Job


def lower_all(
    folder: Path,
    jobs: Sequence[Job],
    done: Callable[[], None],
    failed: Callable[[str, ExportError], None] | None = None,
) -> dict[str, Delegation]:
    """Have `sensemble_export.lowering_worker` do `jobs` on `folder`, in a process for each core.

    Args:
        folder: holds the saved model and the calibration windows, and gets the artifacts.
        jobs: the longest first; they are dealt out in turn.
        done: called after each job, from other threads.
        failed: called with the artifact of each job that cannot be done and why, from other threads, instead
            of raising NotLowerableError or ParityFailedError.

    Returns:
        By artifact (`Job.file`), how each program for ExecuTorch is divided.

    Raises:
        NotLowerableError: one of them failed; the others are stopped.
        ParityFailedError: what one of them wrote is not what it should be; the others are stopped.
        ExportError: the disk does not take an artifact.
    """
    count = min(os.cpu_count() or 1, len(jobs))
    workers: list[subprocess.Popen[bytes]] = []
    divisions: dict[str, Delegation] = {}

    def hear(report: dict[str, Any]) -> None:
        error = _error(report, folder)
        if error is None:
            if report["delegation"] is not None:
                divisions[report["job"]] = Delegation(**report["delegation"])
        elif failed is None or not isinstance(error, NotLowerableError | ParityFailedError):
            raise error
        else:
            failed(report["job"], error)
        done()

    with ThreadPoolExecutor(count) as pool, ExitStack() as chatters:
        try:
            watches = []
            for first in range(count):
                chatter = chatters.enter_context(tempfile.TemporaryFile("w+"))
                worker, reports = _start(folder, jobs[first::count], chatter)
                workers.append(worker)
                watches.append(pool.submit(_watch, worker, reports, chatter, hear))
            for watched in as_completed(watches):
                watched.result()
        finally:
            for worker in workers:
                worker.kill()
    return divisions


def _start(folder: Path, jobs: Sequence[Job], chatter: TextIO) -> tuple[subprocess.Popen[bytes], TextIO]:
    """Start a worker; its reports come by a pipe of their own, what libraries say goes to `chatter`.

    It ends when its standard input does, so also when this process is killed.
    """
    reports, given = os.pipe()
    dealt = [json.dumps(asdict(job)) for job in jobs]
    command = [sys.executable, "-m", "sensemble_export.lowering_worker", str(folder), str(given), *dealt]
    try:
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=chatter, stderr=chatter, pass_fds=(given,)
        )
    finally:
        os.close(given)
    return worker, os.fdopen(reports, encoding="utf-8")


def _watch(
    worker: subprocess.Popen[bytes], reports: TextIO, chatter: TextIO, hear: Callable[[dict[str, Any]], None]
) -> None:
    """Hand what `worker` reports to `hear`, to its end."""
    with worker, reports:
        for line in reports:
            hear(json.loads(line))
        if status := worker.wait():
            chatter.seek(0)
            last = chatter.read().strip().rpartition("\n")[2] or f"status {status}"
            raise NotLowerableError(f"the exporting process failed ({last}); run `sensemble doctor`")


def _error(report: dict[str, Any], folder: Path) -> ExportError | None:
    """Return what went wrong with a job, if anything did, in one line with the remedy."""
    match report:
        case {"job": job, "missing": name}:
            return NotLowerableError(f"{job}: needs {name}, not installed; `pip install {name}`")
        case {"job": job, "mismatch": problem}:
            return ParityFailedError(f"{job}: read back, {problem}; file it as a bug")
        case {"job": job, "disk": reason}:
            return ExportError(
                f"{job}: cannot be written ({reason}); make room in {folder.parent} and in "
                f"{tempfile.gettempdir()}, or lift the limit on the size of files"
            )
        case {"job": job, "error": reason}:
            return NotLowerableError(
                f"{job}: cannot be lowered ({reason}); choose another scheme or target, or change the "
                "encoder to operations that this one takes"
            )
    return None
