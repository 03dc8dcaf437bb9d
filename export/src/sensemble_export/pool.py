"""Lowering several encoders at once, in processes, and what XNNPACK took of each."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from sensemble_export.errors import NotLowerableError


@dataclass(frozen=True, slots=True)
class Delegation:
    """How a program is divided.

    Attributes:
        subgraphs: parts that XNNPACK runs; one is the aim, for between two everything is copied.
        delegated: operations in them, by name.
        remaining: operations that ExecuTorch's own kernels run, by name.
    """

    subgraphs: int
    delegated: dict[str, int]
    remaining: dict[str, int]


def lower_all(folder: Path, tasks: Sequence[str], done: Callable[[], None]) -> dict[str, Delegation]:
    """Do `tasks` (`MODALITY:SCHEME`) of `sensemble_export.worker` on `folder`, in a process for each core.

    Args:
        folder: holds the saved model and the calibration windows, and gets the programs.
        tasks: the longest first; they are dealt out in turn.
        done: called after each task, from other threads.

    Returns:
        How each task's program is divided.

    Raises:
        NotLowerableError: one of them failed; the others are stopped.
    """
    count = min(os.cpu_count() or 1, len(tasks))
    workers: list[subprocess.Popen[str]] = []
    divisions: dict[str, Delegation] = {}
    with ThreadPoolExecutor(count) as pool, tempfile.TemporaryFile("w+") as chatter:
        try:
            for first in range(count):
                command = [sys.executable, "-m", "sensemble_export.worker", str(folder), *tasks[first::count]]
                # What the libraries say on the way is of interest only if they fail.
                workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=chatter, text=True))
            for watched in as_completed([pool.submit(_watch, worker, divisions, done) for worker in workers]):
                if watched.result():
                    chatter.seek(0)
                    last = chatter.read().strip().rpartition("\n")[2]
                    raise NotLowerableError(f"the exporting process failed ({last}); run `sensemble doctor`")
        finally:
            for worker in workers:
                worker.kill()
    return divisions


def _watch(worker: subprocess.Popen[str], divisions: dict[str, Delegation], done: Callable[[], None]) -> int:
    """Follow what `worker` reports to its end, and return its exit status."""
    with worker:
        for line in worker.stdout or ():
            report = json.loads(line)
            if "error" in report:
                raise NotLowerableError(
                    f"{report['task']}: cannot be lowered ({report['error']}); "
                    "change the encoder to operations that XNNPACK takes"
                )
            divisions[report["task"]] = Delegation(**report["delegation"])
            done()
    return worker.returncode
