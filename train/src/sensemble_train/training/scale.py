"""Scaling of a training loop: precision, memory and the copies or parts of a model on several ranks."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from sensemble_sensors.strict_json import Count
from torch import nn
from torch.utils.checkpoint import checkpoint

from sensemble_train.distributed import World
from sensemble_train.field_checks import Size, check
from sensemble_train.models.transformer import Block

_GRAPHS = 128
"""Limit of compiled graphs of all blocks, which share their code: a few per shape, mask and gradient mode.

Beyond torch's own limit of 8, blocks would run uncompiled without a warning. Beyond this one, training ends.
"""


@dataclass(frozen=True, slots=True)
class ScaleConfig:
    """Settings for a large model or much data.

    They change neither the examples of a step nor, up to rounding, a loss without random parts. Random parts
    depend on them: each rank draws its own augmentation, and each micro-batch its own masks and dropped
    paths. BatchNorm sees one micro-batch.

    Attributes:
        precision: `tf32` lets float32 products round to TF32 on a GPU; `bf16` does so too, and runs the
            encoders under autocast, while losses, weights and optimizer stay float32. A run cannot change it
            later.
        compile: compile each transformer block.
        checkpoint_activations: keep only the input of each block, and recompute the rest when needed.
        micro_batch: examples that a rank encodes at a time, accumulating gradients; 0 for its whole share.
        shard: divide weights and optimizer among the ranks, block by block, for a model that one cannot hold
            (FSDP2); otherwise each has a copy (DDP).
        workers: decoding processes of each rank.
        save_every: steps between two checkpoints; 0 for none.
        log_every: steps that are logged together. Only then, and before a checkpoint, does the program wait
            for the device, and notice a loss that is not finite.
    """

    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    compile: bool = False
    checkpoint_activations: bool = False
    micro_batch: Count = 0
    shard: bool = False
    workers: Count = 0
    save_every: Count = 0
    log_every: Size = 1

    def __post_init__(self) -> None:
        check(self, "scale.")


def distribute(module: nn.Module, scale: ScaleConfig, world: World) -> nn.Module:
    """Move `module` to the rank's device; return the module to call, whose gradients the ranks average."""
    torch.set_float32_matmul_precision("highest" if scale.precision == "fp32" else "high")
    module.to(world.device)
    blocks = [block for block in module.modules() if isinstance(block, Block)]
    for block in blocks:
        if scale.compile:
            # torch's type declarations lack the limit.
            block.forward = torch.compile(  # type: ignore[call-overload, method-assign]
                block.forward, fullgraph=True, recompile_limit=_GRAPHS
            )
        if scale.checkpoint_activations:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
    if scale.precision == "bf16":
        module.forward = autocast(scale, world)(module.forward)
    if world.size == 1:
        return module
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    if scale.shard:
        mesh = init_device_mesh(world.device.type, (world.size,))
        for each in (*blocks, module):
            fully_shard(each, mesh=mesh)
        return module
    # Every objective uses the same parameters at every step. But a static graph is learned in the first
    # backward pass, which must exchange gradients: that of the first micro-batch does not.
    return DistributedDataParallel(module, static_graph=not scale.micro_batch, gradient_as_bucket_view=True)


def autocast(scale: ScaleConfig, world: World) -> torch.autocast:
    """Return the context, or decorator, that runs encoders in `scale.precision`."""
    return torch.autocast(world.device.type, torch.bfloat16, enabled=scale.precision == "bf16")
