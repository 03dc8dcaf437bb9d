"""Checkpoints of a training loop; the last one is complete whenever the process dies.

Every rank writes its shards as safetensors, by torch's distributed checkpoint, and any number of ranks can
read them. They hold no random state and no position in the data: both are functions of the seed and the step.
"""

import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

from safetensors import SafetensorError
from sensemble_sensors import durable
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load as load_shards
from torch.distributed.checkpoint.state_dict_saver import save as save_shards
from torch.optim import Optimizer

from sensemble_train.distributed import World
from sensemble_train.errors import CheckpointError


def save(folder: Path, step: int, module: nn.Module, optimizer: Optimizer, world: World) -> None:
    """Write `folder/step-<step>`, complete or not at all, and remove earlier ones."""
    done, partial = folder / f"step-{step}", folder / f"partial-{step}"
    if world.rank == 0:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    world.barrier()
    tensors, _, _ = _tensors(module, optimizer)
    writer = HuggingFaceStorageWriter(str(partial), save_distributed=True)
    with _quiet():
        save_shards(tensors, storage_writer=writer, no_dist=world.size == 1)
    world.barrier()
    if world.rank == 0:
        # Sync before earlier ones are removed: a power cut must not take both.
        for path in partial.iterdir():
            with path.open("r+b") as file:
                os.fsync(file.fileno())
        durable.sync_folder(partial)
        partial.rename(done)
        durable.sync_folder(folder)
        for old in folder.iterdir():
            if old != done:
                shutil.rmtree(old)


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
        with _quiet():
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warning that a single process is not distributed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
