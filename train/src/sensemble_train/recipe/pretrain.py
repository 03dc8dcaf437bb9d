"""Pretraining on unlabelled examples: one encoder per modality, one space (paper, Sec. 4.1 and App. A)."""

import copy
from dataclasses import dataclass

import torch

from sensemble_train.data.clips import Clips, Source
from sensemble_train.field_checks import Amount, Count, Size
from sensemble_train.models.model import Model
from sensemble_train.objectives.backgrounds import Backgrounds
from sensemble_train.objectives.contrastive import LOG_SCALE, Contrastive
from sensemble_train.training.augment import augment
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(Optimization):
    """Settings of pretraining (Table 7, "Pretraining"); the defaults are those of `digits`.

    Attributes:
        background: weight of the loss that keeps backgrounds apart; 0 for none.
    """

    background: Amount = 0.5

    steps: Count = 100
    batch: Size = 100
    learning_rate: Amount = 1e-3
    warmup: Count = 10

    section = "pretrain."


def pretrain(
    model: Model,
    unlabelled: Source,
    config: PretrainConfig,
    loop: Loop,
    log_scale: float = LOG_SCALE,
    background: Clips | None = None,
) -> Model:
    """Return a copy of `model`, pretrained by contrastive learning from the temperature exp(-`log_scale`)."""
    start = copy.deepcopy(model)
    backgrounds = background_loss(start, background, config.background, loop)
    return fit(Contrastive(start, log_scale, backgrounds), [unlabelled], config, loop)


def background_loss(model: Model, clips: Clips | None, weight: float, loop: Loop) -> Backgrounds | None:
    """Return the loss that keeps `clips`, features of backgrounds, apart; None without any."""
    if clips is None or not weight:
        return None
    torch.manual_seed(loop.seed)
    changed = augment(clips, model, loop.augment)
    return Backgrounds(changed, model.modalities, model.head.linear.in_features, weight)
