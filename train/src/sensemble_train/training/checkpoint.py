"""Checkpoints of a training loop; the last one is complete whenever the process dies.

They hold no random state and no position in the data: both are functions of the seed and the step. Rank 0
writes them, whole, so any number of ranks can read them.
"""

import re
from pathlib import Path
from textwrap import shorten

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as encode
from sensemble_sensors import durable
from torch import Tensor, nn
from torch.optim import Optimizer

from sensemble_train.distributed import World, part, whole
from sensemble_train.errors import CheckpointError


def save(folder: Path, step: int, module: nn.Module, optimizer: Optimizer, world: World) -> None:
    """Write a checkpoint on rank 0, and then remove earlier ones; raises CheckpointError if it cannot be."""
    tensors = {f"model.{name}": value for name, value in module.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
    # Copies: safetensors refuses blocks that encoders share. Each in turn, for a rank holds no whole model.
    copies = {}
    for name, value in tensors.items():
        gathered = whole(value)
        if world.rank == 0:
            copies[name] = gathered.to("cpu", copy=True).contiguous()
    if world.rank != 0:
        return
    path = _path(folder, step)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        durable.write(path, encode(copies))
        durable.sync_folder(folder)
        for old in folder.iterdir():
            if old != path:
                old.unlink()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{folder}: cannot be written ({shorten(str(error), 300)}); make room on its disk and "
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
            kind, _, rest = name.partition(".")
            if kind == "model":
                weights[rest] = value
            else:
                number, _, moment = rest.partition(".")
                state.setdefault(int(number), {})[moment] = value
        own = module.state_dict()
        module.load_state_dict({name: part(value, own.get(name, value)) for name, value in weights.items()})
        learning: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        for place, moments in state.items():
            like = learning[place]
            state[place] = {n: part(v, like) if v.shape == like.shape else v for n, v in moments.items()}
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except (SafetensorError, OSError, RuntimeError, ValueError, IndexError) as error:
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
