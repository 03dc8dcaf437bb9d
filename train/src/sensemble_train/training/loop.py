"""The training loop; pretraining, finetuning and distillation differ only in their objective.

All random draws of a step (dropped paths, augmentation, masks) depend on the seed, the step and the rank, so
a run that was killed continues as if it had not been.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from sensemble_runtime.progress import Progress, no_progress
from sensemble_sensors.clock import REAL
from torch import nn

from sensemble_train.data.batching import BatchOrder, seeded
from sensemble_train.data.clips import ClipSource
from sensemble_train.distributed import World, alone, whole
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.model import Model
from sensemble_train.objectives.objective import Objective, Part
from sensemble_train.training import checkpoint
from sensemble_train.training.augment import augment
from sensemble_train.training.optim import Optimization, optimizer, set_rate
from sensemble_train.training.scale import ScaleConfig, distribute
from sensemble_train.training.step_log import StepLog


@dataclass(frozen=True, slots=True)
class Loop:
    """The settings of a training loop that do not depend on the objective."""

    folder: Path  # of its log and its checkpoints; the loop continues from the last one
    seed: int  # decides the batches and all random draws of a step
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    world: World = field(default_factory=alone)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    progress: Progress = no_progress  # called after every step


def fit(objective: Objective, sources: Sequence[ClipSource], settings: Optimization, loop: Loop) -> Model:
    """Minimize `objective` and return the trained model, in evaluation mode and on the CPU, on every rank.

    The objective's model must not be used afterwards. Epochs are counted by the first source.

    Raises:
        ConfigurationError: there are too few examples for a batch, or it does not divide into micro-batches.
        CheckpointError: `loop.folder` holds a checkpoint of another model.
        DivergedError: the loss or the gradient is not finite; no checkpoint keeps that step.
    """
    world, scale = loop.world, loop.scale
    steps = settings.length(len(sources[0]))
    orders = [
        BatchOrder(len(source), settings.batch, loop.seed + place, world.rank, world.size)
        for place, source in enumerate(sources)
    ]
    model = objective.model
    module = distribute(objective.train(), scale, world)
    learning = [p for p in module.parameters() if p.requires_grad]
    adamw = optimizer(module, settings)
    saves = loop.folder / "checkpoints"
    start = checkpoint.restore(saves, objective, adamw, world)
    streams = [
        source.load(order.between(start, steps), world.device, scale.workers, start)
        for source, order in zip(sources, orders, strict=True)
    ]
    with StepLog(loop.folder, start, orders[0].share, world) as log:
        for step in range(start, steps):
            began = REAL.now()
            loaded = [next(stream) for stream in streams]
            waited = REAL.now() - began
            _reseed(loop, step, -1)
            batch = tuple(augment(clips, model, loop.augment) for clips in loaded)
            rate = settings.rate(step, steps)
            set_rate(adamw, rate)
            adamw.zero_grad()
            parts = _split(batch, scale.micro_batch)
            loss = objective.backward(module, parts, partial(_reseed, loop, step))
            norm = whole(nn.utils.clip_grad_norm_(learning, settings.clip or math.inf))
            adamw.step()
            objective.after_step()
            skipped = sum(clips.skipped for clips in loaded)
            log.add(step + 1, loss=loss, learning_rate=rate, norm=norm, waited=waited, skipped=skipped)
            saving = scale.save_every and (step + 1) % scale.save_every == 0
            if saving or (step + 1) % scale.log_every == 0 or step + 1 == steps:
                log.write()  # before a checkpoint, which must not keep a step that diverged
            if saving:
                checkpoint.save(saves, step + 1, objective, adamw, world)
            loop.progress(step + 1, steps)
    trained = Model(model.description, model.tokenizer)  # without what `distribute` changed
    trained.load_state_dict({name: whole(value).cpu() for name, value in model.state_dict().items()})
    return trained.eval()


def _reseed(loop: Loop, step: int, part: int) -> None:
    torch.manual_seed(seeded(loop.seed, step, loop.world.rank, part).initial_seed())


def _split(batch: Part, size: int) -> list[Part]:
    """Cut a rank's share of a step into micro-batches of `size` examples of the first source.

    Raises:
        ConfigurationError: the share of a source does not divide into equal parts of at least two.
    """
    shares = [len(clips) for clips in batch]
    count = max(1, math.ceil(shares[0] / size)) if size else 1
    if any(share % count or share // count < 2 for share in shares):
        raise ConfigurationError(
            f"--scale.micro-batch {size}: {' and '.join(map(str, shares))} examples on each rank do not "
            f"divide into {count} equal parts of at least two; choose another size"
        )
    cut = [[clips.take(rows) for rows in torch.arange(len(clips)).chunk(count)] for clips in batch]
    return list(zip(*cut, strict=True))
