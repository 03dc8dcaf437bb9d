"""One process of an export: `python -m sensemble_export.worker FOLDER MODALITY:SCHEME ...`.

Lowering is single-threaded Python, so an export runs a process a core; what the libraries print stays in it.
Reads `model/` and `calibration.MODALITY.safetensors` in FOLDER, writes `MODALITY.SCHEME.pte`, and prints
one line of JSON a task: `{"task", "delegation"}`, or at the first failure `{"task", "error"}`.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file
from sensemble_train.model import load_model
from torch import Tensor, nn

from sensemble_export.lower import Lowered, lower
from sensemble_export.quantize import quantize
from sensemble_export.rewrite import lowerable


def build(encoder: nn.Module, windows: Tensor, scheme: str) -> Lowered:
    """Lower `encoder` as `scheme` says, `int8` or `fp32`; `windows` [N, ...] are real ones."""
    module = lowerable(encoder, int8=scheme == "int8")
    return lower(quantize(module, windows) if scheme == "int8" else module, windows[:1])


def main(folder: Path, tasks: list[str]) -> None:
    """Do `tasks`, in order."""
    torch.set_num_threads(1)
    model = load_model(folder / "model")
    for task in tasks:
        modality, scheme = task.split(":")
        windows = load_file(folder / f"calibration.{modality}.safetensors")["windows"]
        try:
            lowered = build(model.encoders[modality], windows, scheme)
        except Exception as error:
            print(json.dumps({"task": task, "error": f"{type(error).__name__}: {error}"}), flush=True)  # noqa: T201
            raise
        (folder / f"{modality}.{scheme}.pte").write_bytes(lowered.program)
        print(json.dumps({"task": task, "delegation": asdict(lowered.delegation)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
