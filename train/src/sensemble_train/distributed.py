"""The processes (ranks) that train one model together: torch.distributed, launched by `torchrun`.

A rank that is alone never loads the parts of torch that share a model, which take as long as torch itself.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import Function, FunctionCtx

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class World:
    """The ranks that train together, and this one's place and device among them."""

    rank: int
    size: int
    device: torch.device

    def barrier(self) -> None:
        """Wait until every rank has called this."""
        if self.size > 1:
            dist.barrier()

    def greatest(self, values: Tensor) -> Tensor:
        """Return the largest of the ranks' numbers, element by element; overwrites `values`."""
        if self.size > 1:
            dist.all_reduce(values, dist.ReduceOp.MAX)
        return values

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of all ranks' tensors; overwrites `values`."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def first(self, make: Callable[[], Value]) -> Value:
        """Return what `make` returns on rank 0; it is called there only."""
        values: list[Any] = [make() if self.rank == 0 else None]
        if self.size > 1:
            dist.broadcast_object_list(values)
        value: Value = values[0]
        return value

    def agree(self, choice: bool) -> bool:
        """Return the choice of rank 0."""
        return self.first(lambda: choice)


def alone() -> World:
    """Return a world of one process, on the CPU."""
    return World(0, 1, torch.device("cpu"))


@contextmanager
def join() -> Iterator[World]:
    """Join the ranks that `torchrun` started, or be the only rank; each has a GPU, or uses the CPU."""
    cuda = torch.cuda.is_available()
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        yield World(0, 1, device)
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", device_id=device if cuda else None)
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


def accumulating(module: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Keep gradients on this rank; exchange them only in the `last` backward pass of a step."""
    if _several():
        from torch.distributed.fsdp import FSDPModule
        from torch.nn.parallel import DistributedDataParallel

        if isinstance(module, FSDPModule):
            module.set_requires_gradient_sync(last)
        if isinstance(module, DistributedDataParallel) and not last:
            return module.no_sync()
    return nullcontext()


def _several() -> bool:
    """Return whether there are other ranks."""
    return dist.is_available() and dist.is_initialized()


def whole(value: Tensor) -> Tensor:
    """Return a tensor unchanged or, if ranks share it, gathered from all ranks, which must all call this."""
    if not _several():
        return value
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


def part(value: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor, or this rank's part of it if the ranks share `like`, of the same shape."""
    if not _several():
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def gather(values: Tensor) -> Tensor:
    """Return the rows [B, ...] of all ranks as [size * B, ...]; gradients flow back to their ranks."""
    if not _several():
        return values
    gathered: Tensor = _Gather.apply(values)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(Function):
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
