"""The log of a training loop: one JSON line per step, and TensorBoard."""

import json
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import torch
from sensemble_sensors import durable
from torch.utils.tensorboard import SummaryWriter

from sensemble_train.distributed import World


class StepLog:
    """Writes `steps.jsonl` and TensorBoard's event files into a folder, on rank 0; a context manager.

    A line holds `step`, counted from 1, `loss`, `learning_rate`, `norm` (of the gradient, before clipping),
    `examples_per_second` on all ranks, `data` (the share of the time spent waiting for data: if it is large,
    raise `workers`), `skipped` (bad examples that were replaced by others, on all ranks) and `memory` (peak
    GiB on the GPU; 0 on the CPU).

    Args:
        folder: folder of the log; created if it does not exist.
        step: number of finished steps; lines of later steps, from before a kill, are dropped.
        share: examples per step and rank.
        world: the ranks.
    """

    def __init__(self, folder: Path, step: int, share: int, world: World) -> None:
        self._examples, self._device = share * world.size, world.device
        self._last = perf_counter()
        self._writes = world.rank == 0
        if not self._writes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "steps.jsonl"
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:step] if path.exists() else []
        durable.write(path, "".join(kept).encode())
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writes:
            self._file.close()
            self._board.close()

    def add(
        self, step: int, *, loss: float, learning_rate: float, norm: float, waited: float, skipped: int
    ) -> None:
        """Log one step; it spent `waited` seconds waiting for data."""
        now = perf_counter()
        took, self._last = now - self._last, now
        if not self._writes:
            return
        cuda = self._device.type == "cuda"
        line: dict[str, Any] = {
            "step": step,
            "loss": loss,
            "learning_rate": learning_rate,
            "norm": norm,
            "examples_per_second": self._examples / took,
            "data": waited / took,
            "skipped": skipped,
            "memory": torch.cuda.max_memory_allocated(self._device) / 2**30 if cuda else 0.0,
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        for name, value in line.items():
            if name != "step":
                self._board.add_scalar(name, value, step)
