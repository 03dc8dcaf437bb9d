"""Scaling of a training loop: how the ranks share a model, its precision and its memory."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from sensemble_train.distributed import World
from sensemble_train.field_checks import MORE, bounded
from sensemble_train.models.transformer import Block

_GRAPHS = 128
"""Limit of compiled graphs of all blocks, who share one code: a few per shape, mask and gradient mode.

Beyond torch's own limit of 8, blocks would run uncompiled without a warning. Beyond this one, training ends.
"""


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
                block.forward, fullgraph=True, recompile_limit=_GRAPHS
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
