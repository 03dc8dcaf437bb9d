"""Lowering of encoders in one process per core: it is single-threaded Python, and takes a core.

The processes are started with `subprocess`. Those of `concurrent.futures` would import the caller's
`__main__` again, so a script that exports without an `if __name__ == "__main__"` would start itself again.

A process gets pickled jobs at its standard input, and answers each at its standard output with a pickled
division or error. It ends when its input closes: its parent closed it, or died.
"""

import gc
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO

import torch
from safetensors.torch import load_file
from sensemble_train.models.model import load_model
from torch import Tensor, nn

from sensemble_export.errors import ExportError, NotLowerableError
from sensemble_export.partition_report import Delegation
from sensemble_export.targets import Job, all_targets

_GARBAGE = 100_000  # new objects between two searches for garbage, which took a fifth of the time


def lower_all(
    folder: Path,
    jobs: Sequence[Job],
    done: Callable[[], None],
    failed: Callable[[str, ExportError], None] | None = None,
) -> dict[str, Delegation]:
    """Run `jobs` in one process per core.

    Args:
        folder: holds the saved model and the calibration windows, and receives the artifacts.
        jobs: the longest first.
        done: called after each job, from other threads.
        failed: if given, called from other threads with the artifact (`Job.file`) and the error of each job
            that fails, instead of raising NotLowerableError.

    Returns:
        The division of each ExecuTorch program, by artifact.

    Raises:
        NotLowerableError: a job failed; the others are stopped.
        ExportError: an artifact cannot be written.
    """
    waiting, divisions = iter(jobs), dict[str, Delegation]()
    workers = list[subprocess.Popen[bytes]]()

    def serve(worker: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        for job in waiting:
            outcome = _answer(worker, job, output)
            if isinstance(outcome, Delegation):
                divisions[job.file] = outcome
            elif outcome is not None:
                if failed is None or not isinstance(outcome, NotLowerableError):
                    raise outcome
                failed(job.file, outcome)
            done()

    with ExitStack() as outputs, ThreadPoolExecutor() as pool:
        try:
            served = []
            for _ in range(min(os.cpu_count() or 1, len(jobs))):
                output, pipe = outputs.enter_context(tempfile.TemporaryFile()), subprocess.PIPE
                command = [sys.executable, "-m", "sensemble_export.lowering", str(folder)]
                workers.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=output))
                served.append(pool.submit(serve, workers[-1], output))
            for each in as_completed(served):
                each.result()
        finally:
            for worker in workers:
                worker.kill()
                with worker:  # closes its pipes, and waits for it
                    pass
    return divisions


def _answer(worker: subprocess.Popen[bytes], job: Job, output: IO[bytes]) -> Delegation | ExportError | None:
    """Let a process lower; `output` is what its libraries print."""
    assert worker.stdin is not None  # noqa: S101 - they are pipes
    assert worker.stdout is not None  # noqa: S101
    try:
        pickle.dump(job, worker.stdin)
        worker.stdin.flush()
        outcome: Delegation | ExportError | None = pickle.load(worker.stdout)  # noqa: S301 - our own process
    except (EOFError, BrokenPipeError):
        status = worker.wait()
        output.seek(0)
        last = output.read().decode(errors="replace").strip().rpartition("\n")[2] or f"status {status}"
        return NotLowerableError(f"the exporting process failed ({last}); run `sensemble doctor`")
    return outcome


def build(encoder: nn.Module, windows: Tensor, job: Job, path: Path) -> Delegation | None:
    """Write the artifact of `job`; return an ExecuTorch program's division."""
    module, name = all_targets()[job.target].build
    write = getattr(import_module(module), name)
    division: Delegation | None = write(encoder, windows, job.scheme, job.kept, path)
    return division


def main(folder: Path) -> None:
    """Lower the jobs that arrive at standard input, until it closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print to standard output
    jobs: SimpleQueue[Job] = SimpleQueue()
    Thread(target=_receive, args=(jobs,), daemon=True).start()
    torch.set_num_threads(1)
    gc.set_threshold(_GARBAGE)
    model = load_model(folder / "model")
    while True:
        job, outcome = jobs.get(), None
        windows = load_file(folder / f"calibration.{job.modality}.safetensors")["windows"]
        try:
            outcome = build(model.encoders[job.modality], windows, job, folder / job.file)
        except Exception as error:  # noqa: BLE001 - the parent decides what it means
            traceback.print_exc()
            pickle.dump(described(error, job.file, folder), answers)
        else:
            pickle.dump(outcome, answers)
        answers.flush()


def _receive(jobs: SimpleQueue[Job]) -> None:
    """Queue jobs, and end the process with its input, even while it lowers."""
    given = os.fdopen(os.dup(0), "rb")  # Python cannot end while a thread reads its own standard input
    try:
        while True:
            jobs.put(pickle.load(given))  # noqa: S301 - of our own parent
    finally:
        os._exit(1)


def described(error: Exception, artifact: str, folder: Path) -> ExportError:
    """Return the error that a library's means, in one line with the remedy."""
    match error:
        case ModuleNotFoundError(name=str(name)):
            package = name.partition(".")[0]
            return NotLowerableError(f"{artifact}: needs {package}, not installed; `pip install {package}`")
        case OSError(errno=int()):  # without a number, a library failed to load
            return ExportError(
                f"{artifact}: cannot be written ({error.strerror or error}); make room in {folder.parent} "
                f"and in {tempfile.gettempdir()}, or lift the limit on the size of files"
            )
    first, *_ = str(error).strip().splitlines() or [""]
    return NotLowerableError(
        f"{artifact}: cannot be lowered ({type(error).__name__}: {first}); choose another scheme or target, "
        "or change the encoder to operations that this one takes"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
