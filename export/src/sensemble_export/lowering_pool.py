"""A pool of processes that lower encoders: lowering is single-threaded Python, and takes a core.

The processes are started with `subprocess`. Those of `concurrent.futures` would import the caller's
`__main__` again, so a script that exports without an `if __name__ == "__main__"` would start itself again.
"""

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

from sensemble_export.errors import ExportError, NotLowerableError
from sensemble_export.partition_report import Delegation
from sensemble_export.targets import Job


def lower_all(
    folder: Path,
    jobs: Sequence[Job],
    done: Callable[[], None],
    failed: Callable[[str, ExportError], None] | None = None,
) -> dict[str, Delegation]:
    """Run `jobs` in one `sensemble_export.lowering_worker` process per core.

    Args:
        folder: holds the saved model and the calibration windows, and receives the artifacts.
        jobs: the longest first; they are distributed in turn.
        done: called after each job, from other threads.
        failed: if given, called from other threads with the artifact (`Job.file`) and the error of each job
            that fails, instead of raising NotLowerableError.

    Returns:
        The division of each ExecuTorch program, by artifact.

    Raises:
        NotLowerableError: a job failed; the others are stopped.
        ExportError: an artifact cannot be written.
    """
    count = min(os.cpu_count() or 1, len(jobs))
    workers: list[subprocess.Popen[bytes]] = []
    divisions: dict[str, Delegation] = {}

    def receive(report: dict[str, Any]) -> None:
        error = _error(report, folder)
        if error is None:
            if report["delegation"] is not None:
                divisions[report["job"]] = Delegation(**report["delegation"])
        elif failed is None or not isinstance(error, NotLowerableError):
            raise error
        else:
            failed(report["job"], error)
        done()

    with ThreadPoolExecutor(count) as pool, ExitStack() as outputs:
        try:
            watches = []
            for first in range(count):
                output = outputs.enter_context(tempfile.TemporaryFile("w+"))
                worker, reports = _start(folder, jobs[first::count], output)
                workers.append(worker)
                watches.append(pool.submit(_watch, worker, reports, output, receive))
            for watched in as_completed(watches):
                watched.result()
        finally:
            for worker in workers:
                worker.kill()
    return divisions


def _start(folder: Path, jobs: Sequence[Job], output: TextIO) -> tuple[subprocess.Popen[bytes], TextIO]:
    """Start a worker that reports through a pipe of its own; the output of libraries goes to `output`.

    The worker ends when its standard input closes, and so also when this process is killed.
    """
    reports, given = os.pipe()
    dealt = [json.dumps(asdict(job)) for job in jobs]
    command = [sys.executable, "-m", "sensemble_export.lowering_worker", str(folder), str(given), *dealt]
    try:
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, pass_fds=(given,)
        )
    finally:
        os.close(given)
    return worker, os.fdopen(reports, encoding="utf-8")


def _watch(
    worker: subprocess.Popen[bytes],
    reports: TextIO,
    output: TextIO,
    receive: Callable[[dict[str, Any]], None],
) -> None:
    with worker, reports:
        for line in reports:
            receive(json.loads(line))
        if status := worker.wait():
            output.seek(0)
            last = output.read().strip().rpartition("\n")[2] or f"status {status}"
            raise NotLowerableError(f"the exporting process failed ({last}); run `sensemble doctor`")


def _error(report: dict[str, Any], folder: Path) -> ExportError | None:
    match report:
        case {"job": job, "missing": name}:
            return NotLowerableError(f"{job}: needs {name}, not installed; `pip install {name}`")
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
