"""Lowering of encoders in one process per core: it is single-threaded Python, and takes a core.

A first process, started with `subprocess`, loads the libraries, which takes longer than lowering a small
encoder, and forks the others. `multiprocessing` alone would import the caller's `__main__` again, so a script
without an `if __name__ == "__main__"` would start itself again.

The first process reads the pickled jobs from standard input. For each it writes the job, and the artifact
or the error, to standard output. It reads the model and the windows from a folder, because not every encoder
can be pickled. When the input closes, all processes end.
"""

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module, resources
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile, gettempdir
from threading import Thread
from types import ModuleType
from typing import IO

import torch
from safetensors.torch import load_file, save_file
from sensemble_train.errors import CheckpointError
from sensemble_train.models.model import Model, load_model, save_model
from torch import Tensor, nn

from sensemble_export.errors import ExportError, NotLowerableError, disk_errors
from sensemble_export.lowering.targets import Job, Lowered, target_of

_GARBAGE = 100_000  # new objects between two searches for garbage, which took a fifth of the time
# ExecuTorch imports it for one function: of operations that change their inputs, which no encoder has.
_COMPILER, _FUNCTION = "torch._inductor.fx_passes.post_grad", "decompose_auto_functionalized"
_DTYPES = "edge.yaml"  # ExecuTorch checks dtypes by it, which `to_executorch` leaves out
_FORK = "fork" if sys.platform == "linux" else "spawn"  # a Mac's own libraries do not survive a fork


def lower_all(
    model: Model,
    windows: Mapping[str, Tensor],
    jobs: Sequence[Job],
    done: Callable[[], None],
    failed: dict[Job, ExportError] | None = None,
) -> dict[Job, Lowered]:
    """Lower the encoders of `jobs` in one process per core.

    `windows` has real windows [N, ...] by modality. `done` is called after each job. `failed`, if given,
    receives the NotLowerableError of each job; otherwise it is raised, and the other jobs are stopped. Raises
    ExportError if the disk is full.
    """
    found = dict[Job, Lowered]()
    with TemporaryDirectory() as temporary, TemporaryFile() as output:
        folder = Path(temporary)
        with disk_errors(folder):
            try:
                save_model(model, folder / "model")
            except CheckpointError as error:
                raise ExportError(str(error)) from error
            for modality in {job.modality for job in jobs}:
                save_file({"windows": windows[modality].contiguous()}, folder / f"{modality}.safetensors")
        command, pipe = [sys.executable, "-P", "-m", __name__, temporary], subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=output) as first:
            assert first.stdin is not None  # noqa: S101 - they are pipes
            assert first.stdout is not None  # noqa: S101
            try:
                pickle.dump((sys.path, list(jobs)), first.stdin)
                first.stdin.flush()
                for _ in jobs:
                    job, outcome = _answer(first, first.stdout, output)
                    if isinstance(outcome, Lowered):
                        found[job] = outcome
                    elif failed is None or not isinstance(outcome, NotLowerableError):
                        raise outcome
                    else:
                        failed[job] = outcome
                    done()
                first.stdout.read()  # until it has ended
            finally:
                first.kill()
                first.stdout.read()  # until the others have also ended
    return found


def _answer(
    first: subprocess.Popen[bytes], answers: IO[bytes], output: IO[bytes]
) -> tuple[Job, Lowered | ExportError]:
    """Wait for a job to be done; `output` is what the libraries print."""
    try:
        answer: tuple[Job, Lowered | ExportError] = pickle.load(answers)  # noqa: S301 - our own
    except EOFError as error:
        status = first.wait()
        output.seek(0)
        last = output.read().decode(errors="replace").strip().rpartition("\n")[2] or f"status {status}"
        raise NotLowerableError(f"the exporting process failed ({last}); run `sensemble doctor`") from error
    return answer


def lower(encoder: nn.Module, windows: Tensor, job: Job) -> Lowered:
    """Lower one encoder in this process; some schemes take ranges of `windows` [N, ...], real ones."""
    module, name = target_of(job.target).lower
    lowered: Lowered = getattr(import_module(module), name)(encoder, windows, job.scheme)
    return lowered


def main(folder: Path) -> None:
    """Lower the jobs at standard input, unless it closes."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print to standard output
    jobs: list[Job]
    sys.path[:], jobs = pickle.load(sys.stdin.buffer)  # noqa: S301 - of our parent, which found the encoders
    torch.set_num_threads(1)
    gc.set_threshold(_GARBAGE)
    _model(folder)
    with _light_imports():
        for job in jobs:
            with suppress(Exception):  # which its job meets again, and words
                import_module(target_of(job.target).lower[0])
    if any(job.target == "onnx" for job in jobs):
        with suppress(Exception):
            import_module(target_of("onnx").lower[0]).load_exporter()
    gc.freeze()
    context, count = multiprocessing.get_context(_FORK), min(os.cpu_count() or 1, len(jobs))
    with ProcessPoolExecutor(count, context, _end_with_parent) as pool:
        lowered = {pool.submit(_lower, folder, job): job for job in jobs}
        _end_with_parent()
        for each in as_completed(lowered):
            pickle.dump((lowered[each], each.result()), answers)
            answers.flush()


@contextmanager
def _light_imports() -> Iterator[None]:
    """Import libraries without torch's compiler, a quarter of a small export's time, and a long YAML file."""
    unused, read = ModuleType(_COMPILER), resources.read_text
    setattr(unused, _FUNCTION, lambda _: None)
    sys.modules[_COMPILER] = unused
    resources.read_text = lambda package, name, **how: "" if name == _DTYPES else read(package, name, **how)
    try:
        yield
    finally:
        del sys.modules[_COMPILER]
        resources.read_text = read


@cache
def _model(folder: Path) -> Model:
    return load_model(folder / "model")


def _lower(folder: Path, job: Job) -> Lowered | ExportError:
    windows = load_file(folder / f"{job.modality}.safetensors")["windows"]
    try:
        return lower(_model(folder).encoders[job.modality], windows, job)
    except Exception as error:  # noqa: BLE001 - the parent decides what it means
        traceback.print_exc()
        return described(error, job.file)


def _end_with_parent() -> None:
    """End this process when its parent dies or closes its input, even while it lowers."""
    parent = multiprocessing.parent_process()
    pipe = 0 if parent is None else parent.sentinel

    def end() -> None:
        wait([pipe])
        os._exit(1)

    Thread(target=end, daemon=True).start()


def described(error: Exception, artifact: str) -> ExportError:
    """Turn a library's error into one line with the remedy."""
    match error:
        case ModuleNotFoundError(name=str(name)):
            package = name.partition(".")[0]
            return NotLowerableError(f"{artifact}: needs {package}, not installed; `pip install {package}`")
        case OSError(errno=int()):  # without a number, a library failed to load
            return ExportError(
                f"{artifact}: cannot be written ({error.strerror or error}); make room in "
                f"{gettempdir()}, or lift the limit on the size of files"
            )
    first, *_ = str(error).strip().splitlines() or [""]
    return NotLowerableError(
        f"{artifact}: cannot be lowered ({type(error).__name__}: {first}); choose another scheme or target, "
        "or change the encoder to operations that this one takes"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
