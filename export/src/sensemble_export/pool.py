"""Lowering several encoders at once, in processes."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from sensemble_export.errors import NotLowerableError


def lower_all(folder: Path, tasks: Sequence[str], done: Callable[[str], None]) -> None:
    """Do `tasks` (`MODALITY:SCHEME`) of `sensemble_export.worker` on `folder`, in a process for each core.

    Args:
        folder: holds the saved model and the calibration windows, and gets the programs.
        tasks: the longest first; they are dealt out in turn.
        done: called with each task that is done, from other threads.

    Raises:
        NotLowerableError: one of them failed; the others are stopped.
    """
    count = min(os.cpu_count() or 1, len(tasks))
    workers: list[subprocess.Popen[str]] = []
    with ThreadPoolExecutor(count) as pool, tempfile.TemporaryFile("w+") as chatter:
        try:
            for first in range(count):
                command = [sys.executable, "-m", "sensemble_export.worker", str(folder), *tasks[first::count]]
                # What the libraries say on the way is of interest only if they fail.
                workers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=chatter, text=True))
            for watched in as_completed([pool.submit(_watch, worker, done) for worker in workers]):
                if watched.result():
                    chatter.seek(0)
                    last = chatter.read().strip().rpartition("\n")[2]
                    raise NotLowerableError(f"the exporting process failed ({last}); run `sensemble doctor`")
        finally:
            for worker in workers:
                worker.kill()


def _watch(worker: subprocess.Popen[str], done: Callable[[str], None]) -> int:
    """Follow what `worker` reports to its end, and return its exit status."""
    with worker:
        for line in worker.stdout or ():
            report = json.loads(line)
            if "error" in report:
                raise NotLowerableError(
                    f"{report['task']}: cannot be lowered ({report['error']}); "
                    "change the encoder to operations that XNNPACK takes"
                )
            done(report["task"])
    return worker.returncode
