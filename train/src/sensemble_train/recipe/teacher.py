"""The teacher of subset distillation: a frozen model, which sees a student's examples unaugmented."""

from dataclasses import replace
from functools import partial

import torch
from sensemble_runtime.subsets import measured
from torch import Tensor

from sensemble_train.data.clips import Clips, Source
from sensemble_train.models.model import Model
from sensemble_train.recipe.evaluate import BATCH
from sensemble_train.recipe.fusion import LateFusion
from sensemble_train.training.loop import Loop
from sensemble_train.training.scale import autocast


def teach(teacher: Model, source: Source, loop: Loop) -> Source:
    """Return `source` with the teacher's probabilities as targets: [N, C] or, of late fusion, [N, S, C]."""
    return source.mapped(partial(_labelled, teacher.eval(), loop))


@torch.no_grad()
def _labelled(teacher: Model, loop: Loop, clips: Clips) -> Clips:
    device, home = loop.world.device, next(iter(clips.inputs.values())).device
    teacher.to(device)
    targets = []
    for rows in torch.arange(len(clips)).split(loop.scale.micro_batch or BATCH):
        with autocast(loop.scale, loop.world):
            embedded = teacher.embed(clips.take(rows).to(device).inputs)
        targets.append(_targets(teacher, {m: x.float() for m, x in embedded.items()}).to(home))
    return replace(clips, targets=torch.cat(targets))


def _targets(model: Model, embedded: dict[str, Tensor]) -> Tensor:
    """Return probabilities of the classes: float32 [N, C], or [N, S, C] of subsets."""
    if isinstance(model, LateFusion):
        logits = model.opinions(embedded, measured(model.modalities))
    else:
        logits = model.head(torch.stack([embedded[m] for m in model.modalities]).mean(dim=0))
    return logits.softmax(dim=-1) if model.description.task == "multi-class" else logits.sigmoid()
