"""The log of a training loop: one JSON line per step."""

import json
import math
from pathlib import Path
from typing import Self

import torch
from sensemble_sensors import durable
from sensemble_sensors.clock import REAL
from torch import Tensor

from sensemble_train.distributed import World
from sensemble_train.errors import DivergedError


class StepLog:
    """Writes `steps.jsonl` into a folder, on rank 0; a context manager.

    A line has `step`, counted from 1, `loss`, `learning_rate`, `norm` (of the gradient, before clipping),
    `examples_per_second` on all ranks, `data` (the share of the time spent waiting for data; raise `workers`
    if it is large), `skipped` (bad examples replaced by others) and `memory` (peak GiB on the GPU; 0 on the
    CPU). Steps that are written together share their speed and their `data`. Lines after `step` are dropped.
    """

    def __init__(self, folder: Path, step: int, share: int, world: World) -> None:
        self._examples, self._world, self._folder = share * world.size, world, folder
        self._last = REAL.now()
        self._steps: list[tuple[int, Tensor, float, Tensor, float, int]] = []
        self._writes = world.rank == 0
        if not self._writes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "steps.jsonl"
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:step] if path.exists() else []
        durable.write(path, "".join(kept).encode())
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writes:
            self._file.close()

    def add(
        self, step: int, *, loss: Tensor, learning_rate: float, norm: Tensor, waited: float, skipped: int
    ) -> None:
        """Keep one step for `write`, without waiting for the device; `waited` is seconds for data."""
        self._steps.append((step, loss, learning_rate, norm, waited, skipped))

    def write(self) -> None:
        """Write the steps since the last call; a loss that is not finite ends the log (DivergedError)."""
        steps, world = self._steps, self._world
        if not steps:
            return
        self._steps = []
        device, (numbers, losses, rates, norms, waits, bad) = world.device, zip(*steps, strict=True)
        means = (world.sum(torch.stack(losses)) / world.size).tolist()
        # All ranks wait for the slowest.
        waited = world.greatest(torch.tensor(waits, device=device)).sum().item()
        skipped = world.sum(torch.tensor(bad, device=device)).tolist()
        now = REAL.now()
        took, self._last = now - self._last, now
        memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
        lines = zip(numbers, means, rates, torch.stack(norms).tolist(), skipped, strict=True)
        for step, loss, rate, norm, count in lines:
            if not math.isfinite(loss + norm):
                raise DivergedError(
                    f"{self._folder}: step {step} has a loss of {loss} and a gradient of norm {norm}; "
                    "lower the learning rate, or clip the gradient"
                )
            line = {
                "step": step,
                "loss": loss,
                "learning_rate": rate,
                "norm": norm,
                "examples_per_second": self._examples * len(steps) / took,
                "data": waited / took,
                "skipped": count,
                "memory": memory,
            }
            if self._writes:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()
