"""Checkpoints of a training loop; the last one is complete whenever the process dies.

Every rank writes its shards as safetensors, by torch's distributed checkpoint, and any number of ranks can
read them. They hold no random state and no position in the data: both are functions of the seed and the step.
"""

import os
import re
import shutil
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from textwrap import shorten
from typing import Any, Self, cast

from safetensors import SafetensorError
from sensemble_sensors import durable
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load as load_shards
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.distributed_c10d import ProcessGroup, new_group
from torch.optim import Optimizer

from sensemble_train.distributed import World
from sensemble_train.errors import CheckpointError

# A single process is not distributed, and need not be; the thread that writes would say so each time.
warnings.filterwarnings("ignore", message="torch.distributed is disabled")


class Saver:
    """Writes checkpoints while training goes on; a context manager, whose end waits for the last one.

    The tensors are copied at once, so that the next step may change them. A checkpoint gets its name when all
    ranks have written theirs; then earlier ones are removed. At most one is written at a time.

    Args:
        folder: folder of the checkpoints.
        world: the ranks. They speak with each other about checkpoints in a group of its own, so that a
            thread's messages are not mistaken for the training's.
    """

    def __init__(self, folder: Path, world: World) -> None:
        self._folder, self._world = folder, world
        self._thread = ThreadPoolExecutor(1)
        self._group: ProcessGroup | None = None
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._wait()
        finally:
            self._thread.shutdown()

    def save(self, step: int, module: nn.Module, optimizer: Optimizer) -> None:
        """Begin to write `step-<step>` of the folder, complete or not at all.

        Raises:
            CheckpointError: the one before could not be written.
        """
        self._wait()
        if self._world.size > 1 and self._group is None:
            self._group = new_group(backend="gloo")
        partial = self._folder / f"partial-{step}"
        if self._world.rank == 0:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        self._world.barrier()
        tensors, _, _ = _tensors(module, optimizer)
        written = async_save(
            tensors,
            storage_writer=HuggingFaceStorageWriter(str(partial), save_distributed=True),
            process_group=self._group,
            no_dist=self._world.size == 1,
        )
        assert isinstance(written, Future)  # noqa: S101 - no stager of ours
        self._pending = self._thread.submit(self._complete, written, partial, self._folder / f"step-{step}")

    def _complete(self, written: "Future[Any]", partial: Path, done: Path) -> None:
        written.result()
        if self._world.rank != 0:
            return
        # Sync before earlier ones are removed: a power cut must not take both.
        for path in partial.iterdir():
            with path.open("r+b") as file:
                os.fsync(file.fileno())
        durable.sync_folder(partial)
        partial.rename(done)
        durable.sync_folder(self._folder)
        for old in self._folder.iterdir():
            if old != done:
                shutil.rmtree(old)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.result()
        except (CheckpointException, SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{self._folder}: cannot be written ({shorten(str(error), 300)}); make room on its disk and "
                "run it again to continue"
            ) from error


def restore(folder: Path, module: nn.Module, optimizer: Optimizer, world: World) -> int:
    """Load the last checkpoint of `folder` and return its step, or 0 without one.

    Raises:
        CheckpointError: it cannot be read, or is of another model.
    """
    step = int(world.first(lambda: str(_last(folder))))  # ranks may see different files on a shared disk
    if not step:
        return 0
    path = folder / f"step-{step}"
    tensors, model, state = _tensors(module, optimizer)
    try:
        load_shards(tensors, storage_reader=HuggingFaceStorageReader(str(path)), no_dist=world.size == 1)
    except (CheckpointException, SafetensorError, OSError, KeyError, AssertionError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a complete checkpoint of this run ({shorten(str(error), 300)}); if it is damaged "
            "or of another run, delete it to start over"
        ) from error
    model = {name: tensors[f"model.{name}"] for name in model}
    moments: Any = {
        parameter: {name: tensors[f"optimizer.{parameter}.{name}"] for name in values}
        for parameter, values in state["state"].items()
    }
    set_state_dict(module, optimizer, model_state_dict=model, optim_state_dict={**state, "state": moments})
    return step


def _last(folder: Path) -> int:
    """Return the step of the last checkpoint, or 0."""
    names = [re.fullmatch(r"step-(\d+)", path.name) for path in folder.glob("step-*")]
    return max((int(found[1]) for found in names if found), default=0)


_State = dict[str, Any]


def _tensors(module: nn.Module, optimizer: Optimizer) -> tuple[_State, _State, _State]:
    """Return all state as one flat dictionary of tensors, then the model's and the optimizer's state."""
    model, state = cast("tuple[_State, _State]", get_state_dict(module, optimizer))
    tensors = {f"model.{name}": value for name, value in model.items()}
    for parameter, values in state["state"].items():
        tensors |= {f"optimizer.{parameter}.{name}": value for name, value in values.items()}
    return tensors, model, state
