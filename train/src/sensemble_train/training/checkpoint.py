"""Checkpoints of a training loop; the last one is complete whenever the process dies.

They hold no random state and no position in the data: both are functions of the seed and the step. Rank 0
writes them; all ranks have the same weights, so any number of ranks can read them.
"""

import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from textwrap import shorten
from typing import Self

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from sensemble_sensors import durable
from torch import Tensor, nn
from torch.optim import Optimizer

from sensemble_train.distributed import World
from sensemble_train.errors import CheckpointError


class Saver:
    """Writes copied tensors in the background, and removes earlier checkpoints; waits for the last."""

    def __init__(self, folder: Path, world: World) -> None:
        self._folder, self._world = folder, world
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._wait()
        finally:
            self._thread.shutdown()

    def save(self, step: int, module: nn.Module, optimizer: Optimizer) -> None:
        """Begin to write a checkpoint; raises CheckpointError if the one before could not be written."""
        self._wait()
        if self._world.rank == 0:
            tensors = {f"model.{name}": value for name, value in module.state_dict().items()}
            for number, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
            copies = {name: value.to("cpu", copy=True).contiguous() for name, value in tensors.items()}
            self._pending = self._thread.submit(self._write, _path(self._folder, step), copies)

    def _write(self, path: Path, tensors: dict[str, Tensor]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, save(tensors))
        durable.sync_folder(path.parent)
        for old in path.parent.iterdir():
            if old != path:
                old.unlink()

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        try:
            if pending is not None:
                pending.result()
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{self._folder}: cannot be written ({shorten(str(error), 300)}); make room on its disk and "
                "run it again to continue"
            ) from error


def restore(folder: Path, module: nn.Module, optimizer: Optimizer, world: World) -> int:
    """Load the last checkpoint and return its step, or 0; raises CheckpointError if it does not fit."""
    step = world.first(lambda: _last(folder))  # ranks may see different files on a shared disk
    if not step:
        return 0
    path = _path(folder, step)
    weights: dict[str, Tensor] = {}
    state: dict[int, dict[str, Tensor]] = {}
    try:
        for name, value in load_file(path).items():
            part, _, rest = name.partition(".")
            if part == "model":
                weights[rest] = value
            else:
                number, _, moment = rest.partition(".")
                state.setdefault(int(number), {})[moment] = value
        module.load_state_dict(weights)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a complete checkpoint of this run ({shorten(str(error), 300)}); if it is damaged "
            "or of another run, delete it to start over"
        ) from error
    return step


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step}.safetensors"


def _last(folder: Path) -> int:
    names = [re.fullmatch(r"step-(\d+)", path.stem) for path in folder.glob("step-*.safetensors")]
    return max((int(match[1]) for match in names if match), default=0)
