"""Pretraining on unlabelled examples: one encoder per modality, one space (paper, Sec. 4.1 and App. A)."""

import copy
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from sensemble_train.data.clips import Clips, Source
from sensemble_train.field_checks import MORE, bounded
from sensemble_train.models.model import Model
from sensemble_train.objectives.contrastive import LOG_SCALE, Contrastive
from sensemble_train.objectives.mae import MAE, MAEConfig
from sensemble_train.recipe.background_loss import background_loss
from sensemble_train.recipe.evaluate import batches, load_features
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(Optimization):
    """Settings of pretraining (Table 7, "Pretraining"); the defaults are those of `digits`.

    Attributes:
        objective: contrastive learning, or masked autoencoding, which needs encoders of a certain shape.
        mae: masks and decoder of masked autoencoding.
        background: weight of the loss that keeps backgrounds apart, in contrastive learning; 0 for none.
        patch_dropout: share of the patches of sound and frames that contrastive learning leaves out, for
            speed; 0 in the paper.
    """

    objective: Literal["contrastive", "mae"] = "contrastive"
    mae: MAEConfig = field(default_factory=MAEConfig)
    background: float = 0.5
    patch_dropout: float = 0.0

    steps: int = 100
    batch: int = 100
    learning_rate: float = 1e-3
    warmup: int = 10

    section = "pretrain."

    def __post_init__(self) -> None:
        Optimization.__post_init__(self)  # with slots, `super()` would name the class before its decorator
        bounded(self, self.section, background=(0, MORE), patch_dropout=(0, 0.99))


def pretrain(
    model: Model,
    unlabelled: Source,
    config: PretrainConfig,
    loop: Loop,
    log_scale: float = LOG_SCALE,
    background: Clips | None = None,
) -> Model:
    """Return a copy of `model` with pretrained encoders.

    Args:
        model: the initial model.
        unlabelled: the pretraining examples.
        config: objective and optimizer.
        loop: folder, seed, scale and ranks.
        log_scale: logarithm of the initial inverse temperature of contrastive learning.
        background: features of windows that show none of the classes, for contrastive learning.

    Raises:
        ConfigurationError: the model's shape does not suit masked autoencoding; or as `fit`.
        CheckpointError: as `fit`.
    """
    start = copy.deepcopy(model)
    if config.objective == "contrastive":
        strange = background_loss(start, background, config.background, loop)
        objective = Contrastive(start, log_scale, strange, config.patch_dropout)
        return fit(objective, [unlabelled], config, loop)
    return with_statistics(fit(MAE(start, config.mae), [unlabelled], config, loop), unlabelled, loop)


@torch.no_grad()
def with_statistics(model: Model, source: Source, loop: Loop) -> Model:
    """Set the statistics of the BatchNorms before the embeddings, which MAE does not pass, from `source`.

    Without them, the part that all embeddings of a modality share outweighs the rest, and a modality more or
    less moves the pooled mean away from all that the head was trained on.
    """
    norms = {m: m.momentum for m in model.encoders.modules() if isinstance(m, nn.BatchNorm1d)}
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    model.to(loop.world.device)
    for clips in load_features(model, source, batches(source, loop) if norms else [], loop):
        for m, inputs in clips.inputs.items():
            rows = clips.present[m]
            if rows.sum() > 1:
                model.encoders[m].encode(inputs[rows])  # type: ignore[operator]
    for norm, momentum in norms.items():
        norm.momentum = momentum
    return model.cpu().eval()
