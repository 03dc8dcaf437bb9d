"""Many processes that train one model: torch.distributed, launched by `torchrun`."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import Function, FunctionCtx
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from sensemble_train.field_checks import MORE, bounded
from sensemble_train.models.transformer import Block

_FORMS = 128
"""Graphs that all blocks may have together, who share one code: a few for each shape, mask and gradient mode.

Beyond torch's own limit of 8, blocks would run uncompiled and nothing would tell; here, training ends."""


@dataclass(frozen=True, slots=True)
class ScaleConfig:
    """How a model is trained that is large, or on much data.

    None of it changes which examples make a step's batch, nor the loss but for rounding, where nothing is
    random. Augmentation is drawn by each rank, masks and dropped paths by each of its micro-batches, and
    BatchNorm sees one micro-batch: with other ranks or micro-batches these are others.

    Attributes:
        parallel: how several ranks share the work: `ddp` copies the model, `fsdp` shards it (FSDP2).
        precision: `bf16` runs the encoders under autocast; losses, weights and optimizer stay float32.
            The one field that a run may not change in the middle.
        compile: compile each transformer block.
        checkpoint_activations: keep only each block's input, and compute the rest again when it is needed.
        micro_batch: examples that a rank encodes at a time, adding up the gradients; 0 for its whole share.
        workers: processes of each rank that decode.
        save_every: steps between two checkpoints; 0 to write none.
    """

    parallel: Literal["ddp", "fsdp"] = "ddp"
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    checkpoint_activations: bool = False
    micro_batch: int = 0
    workers: int = 0
    save_every: int = 0

    def __post_init__(self) -> None:
        some = 0, MORE
        bounded(self, "scale.", micro_batch=some, workers=some, save_every=some)


@dataclass(frozen=True, slots=True)
class World:
    """The processes that train together, and this one's place among them.

    Attributes:
        rank: this process's number, from 0.
        size: how many there are.
        device: what this one computes on.
    """

    rank: int
    size: int
    device: torch.device

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if self.size > 1:
            dist.barrier()

    def mean(self, value: Tensor) -> float:
        """Return the mean over the ranks of a scalar."""
        return float(self.sum(value.detach().clone())) / self.size

    def greatest(self, value: float) -> float:
        """Return the largest of the ranks' numbers."""
        found = torch.tensor(value, device=self.device)
        if self.size > 1:
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return float(found)

    def sum(self, values: Tensor) -> Tensor:
        """Add up the ranks' tensors in place, and return it."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def first(self, make: Callable[[], str]) -> str:
        """Return on every rank the text that `make` returns on rank 0, where alone it is called."""
        text = make() if self.rank == 0 else ""
        if self.size == 1:
            return text
        # As bytes, for torch sends any other object as a pickle.
        data = torch.tensor(list(text.encode()), dtype=torch.uint8, device=self.device)
        data.resize_(int(self.sum(torch.tensor(len(data), device=self.device))))
        dist.broadcast(data, 0)
        return bytes(data.tolist()).decode()

    def agree(self, choice: bool) -> bool:
        """Return what rank 0 chose."""
        flag = torch.tensor(float(choice and self.rank == 0), device=self.device)
        return bool(self.sum(flag) > 0)


def alone() -> World:
    """Return the world of one process on the CPU."""
    return World(0, 1, torch.device("cpu"))


@contextmanager
def join() -> Iterator[World]:
    """Be one of the ranks that `torchrun` started, or alone; on a GPU each, or on the CPU."""
    cuda = torch.cuda.is_available()
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        yield World(0, 1, device)
        return
    dist.init_process_group("nccl" if cuda else "gloo", device_id=device if cuda else None)
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def distribute(module: nn.Module, scale: ScaleConfig, world: World) -> nn.Module:
    """Return `module`, to be called in its place, moved to the rank's device and shared among the ranks.

    BatchNorm takes its statistics from a rank's own examples, as it does everywhere under DDP.
    """
    module.to(world.device)
    blocks = [block for block in module.modules() if isinstance(block, Block)]
    for block in blocks:
        if scale.compile:
            # torch's declarations do not know the limit yet.
            block.forward = torch.compile(  # type: ignore[call-overload, method-assign]
                block.forward, fullgraph=True, recompile_limit=_FORMS
            )
        if scale.checkpoint_activations:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
    if scale.precision == "bf16":
        module.forward = autocast(scale, world)(module.forward)
    if world.size == 1:
        return module
    if scale.parallel == "ddp":
        return DistributedDataParallel(module)
    mesh = init_device_mesh(world.device.type, (world.size,))
    for part in (*blocks, module):
        fully_shard(part, mesh=mesh)
    return module


def autocast(scale: ScaleConfig, world: World) -> torch.autocast:
    """Return the context, and decorator, in which encoders run in `scale.precision` on the rank's device."""
    return torch.autocast(world.device.type, torch.bfloat16, enabled=scale.precision == "bf16")


@contextmanager
def accumulating(module: nn.Module, *, last: bool) -> Iterator[None]:
    """Keep gradients on this rank, except in the `last` backward pass before a step."""
    context: AbstractContextManager[None] = nullcontext()
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(last)
    elif isinstance(module, DistributedDataParallel) and not last:
        context = module.no_sync()
    with context:
        yield


def as_float(value: Tensor) -> float:
    """Return a scalar that may be sharded."""
    return float(value.full_tensor() if isinstance(value, DTensor) else value)


def gather(values: Tensor) -> Tensor:
    """Return the rows [B, ...] of all ranks as [size * B, ...]; gradients flow back to their ranks."""
    if not (dist.is_available() and dist.is_initialized()):
        return values
    gathered: Tensor = _Gather.apply(values)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(Function):
    """Gather forward; backward, give each rank the sum of all ranks' gradients of its own rows."""

    @staticmethod
    def forward(context: FunctionCtx, values: Tensor) -> Tensor:
        del context
        values = values.contiguous()
        pieces = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(pieces, values)
        return torch.cat(pieces)

    @staticmethod
    def backward(context: FunctionCtx, gradient: Tensor) -> Tensor:
        del context
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]
