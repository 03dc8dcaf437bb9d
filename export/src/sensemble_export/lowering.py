"""Lowering of encoders in one process per core: it is single-threaded Python, and takes a core.

A first process, started with `subprocess`, loads the libraries, which takes longer than lowering a small
encoder, and forks the others. `multiprocessing` alone would import the caller's `__main__` again, so a script
without an `if __name__ == "__main__"` would start itself again.

The first process gets the pickled jobs at its standard input, and answers each at its standard output with
the job and its delegation or error. When the input closes, all processes end.
"""

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from functools import cache
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import IO

import torch
from safetensors.torch import load_file
from sensemble_train.models.model import Model, load_model
from torch import Tensor, nn

from sensemble_export.errors import ExportError, NotLowerableError
from sensemble_export.partition_report import Delegation
from sensemble_export.targets import Job, all_targets

_GARBAGE = 100_000  # new objects between two searches for garbage, which took a fifth of the time
_FORK = "fork" if sys.platform == "linux" else "spawn"  # a Mac's own libraries do not survive a fork


def lower_all(
    folder: Path,
    jobs: Sequence[Job],
    done: Callable[[], None],
    failed: dict[Job, ExportError] | None = None,
) -> dict[str, Delegation]:
    """Run `jobs`, the longest first, in one process per core; return each ExecuTorch program's delegation.

    `folder` holds the saved model and the calibration windows, and receives the artifacts. `done` is called
    after each job. `failed`, if given, receives the NotLowerableError of each job; otherwise it is raised,
    and the other jobs are stopped. Raises ExportError if an artifact cannot be written.
    """
    delegations = dict[str, Delegation]()
    command, pipe = [sys.executable, "-m", "sensemble_export.lowering", str(folder)], subprocess.PIPE
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=output) as first,
    ):
        assert first.stdin is not None  # noqa: S101 - they are pipes
        assert first.stdout is not None  # noqa: S101
        try:
            pickle.dump(list(jobs), first.stdin)
            first.stdin.flush()
            for _ in jobs:
                job, outcome = _answer(first, first.stdout, output)
                if isinstance(outcome, Delegation):
                    delegations[job.file] = outcome
                elif outcome is not None:
                    if failed is None or not isinstance(outcome, NotLowerableError):
                        raise outcome
                    failed[job] = outcome
                done()
            first.stdout.read()  # until it has ended
        finally:
            first.kill()
            first.stdout.read()  # until the others have ended, too
    return delegations


def _answer(
    first: subprocess.Popen[bytes], answers: IO[bytes], output: IO[bytes]
) -> tuple[Job, Delegation | ExportError | None]:
    """Wait for a job to be done; `output` is what the libraries print."""
    try:
        answer: tuple[Job, Delegation | ExportError | None] = pickle.load(answers)  # noqa: S301 - our own
    except EOFError as error:
        status = first.wait()
        output.seek(0)
        last = output.read().decode(errors="replace").strip().rpartition("\n")[2] or f"status {status}"
        raise NotLowerableError(f"the exporting process failed ({last}); run `sensemble doctor`") from error
    return answer


def build(encoder: nn.Module, windows: Tensor, job: Job, path: Path) -> Delegation | None:
    """Write the artifact of `job`; return an ExecuTorch program's delegation."""
    module, name = all_targets()[job.target].build
    write = getattr(import_module(module), name)
    delegation: Delegation | None = write(encoder, windows, job.scheme, path)
    return delegation


def main(folder: Path) -> None:
    """Lower the jobs at standard input, unless it closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print to standard output
    jobs: list[Job] = pickle.load(sys.stdin.buffer)  # noqa: S301 - of our own parent
    torch.set_num_threads(1)
    gc.set_threshold(_GARBAGE)
    _model(folder)
    for job in jobs:
        with suppress(Exception):  # which its job meets again, and words
            import_module(all_targets()[job.target].build[0])
    gc.freeze()
    context, count = multiprocessing.get_context(_FORK), min(os.cpu_count() or 1, len(jobs))
    with ProcessPoolExecutor(count, context, _end_with_parent) as pool:
        lowered = {pool.submit(_lower, folder, job): job for job in jobs}
        _end_with_parent()
        for each in as_completed(lowered):
            pickle.dump((lowered[each], each.result()), answers)
            answers.flush()


@cache
def _model(folder: Path) -> Model:
    return load_model(folder / "model")


def _lower(folder: Path, job: Job) -> Delegation | ExportError | None:
    windows = load_file(folder / f"calibration.{job.modality}.safetensors")["windows"]
    try:
        return build(_model(folder).encoders[job.modality], windows, job, folder / job.file)
    except Exception as error:  # noqa: BLE001 - the parent decides what it means
        traceback.print_exc()
        return described(error, job.file, folder)


def _end_with_parent() -> None:
    """End this process when its parent dies or closes its input, even while it lowers."""
    parent = multiprocessing.parent_process()
    pipe = 0 if parent is None else parent.sentinel

    def end() -> None:
        wait([pipe])
        os._exit(1)

    Thread(target=end, daemon=True).start()


def described(error: Exception, artifact: str, folder: Path) -> ExportError:
    """Turn a library's error into one line with the remedy."""
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
