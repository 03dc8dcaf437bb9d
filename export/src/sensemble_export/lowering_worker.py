"""A process of the lowering pool: `python -m sensemble_export.lowering_worker FOLDER PIPE JOB ...`.

Each JOB is a `Job` in JSON. The process reads `model/` and `calibration.MODALITY.safetensors` in FOLDER, and
writes `Job.file`. Into PIPE, the number of an open file, it writes one line of JSON per job: `{"job",
"delegation"}`, or for a failure `{"job", "error"}`, `{"job", "missing"}` (a Python module) or `{"job",
"disk"}` (a file cannot be written). It ends when its standard input closes: its parent closed it, or died.
"""

import gc
import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import TextIO

import torch
from safetensors.torch import load_file
from sensemble_train.models.model import load_model
from torch import Tensor, nn

from sensemble_export.partition_report import Delegation
from sensemble_export.targets import Job

_STDIN = 0
_GARBAGE = 100_000  # new objects between two searches for garbage, which took a fifth of the time


def build(encoder: nn.Module, windows: Tensor, job: Job, path: Path) -> Delegation | None:
    """Write the artifact of `job`.

    Returns:
        For ExecuTorch, the program's division.
    """
    # Each target imports a library of its own, which takes seconds.
    if job.target == "executorch-xnnpack":
        from sensemble_export.lower import lower
        from sensemble_export.quantize import quantize
        from sensemble_export.rewrite import centred, lowerable

        module = lowerable(encoder, int8=job.scheme != "fp32", kept=job.kept)
        if job.scheme != "fp32":
            module = quantize(centred(module, windows), windows, job.scheme, job.kept)
        lowered = lower(module, windows[:1])
        path.write_bytes(lowered.program)
        return lowered.delegation
    if job.target == "onnx":
        from sensemble_export.to_onnx import to_onnx

        to_onnx(encoder, windows, job.scheme, job.kept, path)
        return None
    from sensemble_export.to_coreml import to_coreml

    to_coreml(encoder, windows, job.scheme, job.kept, path)
    return None


def main(folder: Path, reports: TextIO, jobs: list[Job]) -> None:
    """Run `jobs` in order; a failure does not stop the next one."""
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    gc.set_threshold(_GARBAGE)
    model = load_model(folder / "model")
    for job in jobs:
        windows = load_file(folder / f"calibration.{job.modality}.safetensors")["windows"]
        try:
            delegation = build(model.encoders[job.modality], windows, job, folder / job.file)
            _report(reports, job, delegation=delegation and asdict(delegation))
        except Exception as error:  # noqa: BLE001 - the parent decides what it means
            _report(reports, job, **_reason(error))
            traceback.print_exc()


def _reason(error: Exception) -> dict[str, str]:
    match error:
        case ModuleNotFoundError(name=str(name)):
            return {"missing": name.partition(".")[0]}
        case OSError(errno=int()):  # without a number, a library failed to load
            return {"disk": error.strerror or str(error)}
    first, *_ = str(error).strip().splitlines() or [""]
    return {"error": f"{type(error).__name__}: {first}"}


def _end_with_parent() -> None:
    while os.read(_STDIN, 1):
        pass
    os._exit(1)


def _report(reports: TextIO, job: Job, **what: object) -> None:
    reports.write(json.dumps({"job": job.file, **what}) + "\n")
    reports.flush()


def _job(text: str) -> Job:
    fields = json.loads(text)
    return Job(**fields | {"kept": tuple(fields["kept"])})


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[2]), "w", encoding="utf-8") as pipe:
        main(Path(sys.argv[1]), pipe, list(map(_job, sys.argv[3:])))
