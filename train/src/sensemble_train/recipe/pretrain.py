"""Pretraining on unlabelled examples: one encoder per modality, one space (paper, Sec. 4.1 and App. A)."""

import copy
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from sensemble_train.data.clips import Source
from sensemble_train.models.model import Model
from sensemble_train.objectives.contrastive import LOG_SCALE, Contrastive
from sensemble_train.objectives.mae import MAE, MAEConfig
from sensemble_train.recipe.evaluate import batches, load_features
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(Optimization):
    """How the encoders are pretrained (Table 7, "Pretraining"); values of `digits`.

    Attributes:
        objective: contrastive learning, or masked autoencoding, which the encoders have to be shaped for.
        mae: what masked autoencoding masks, and its decoder.
    """

    objective: Literal["contrastive", "mae"] = "contrastive"
    mae: MAEConfig = field(default_factory=MAEConfig)

    steps: int = 240
    batch: int = 100
    learning_rate: float = 1e-3
    warmup: int = 24

    section = "pretrain."


def pretrain(
    model: Model, unlabelled: Source, config: PretrainConfig, loop: Loop, log_scale: float = LOG_SCALE
) -> Model:
    """Return a copy of `model` whose encoders were trained by what `config` says.

    Args:
        model: what to begin with.
        unlabelled: the pretraining examples.
        config: the optimizer's settings.
        loop: how and where to train.
        log_scale: the logarithm of the inverse temperature with which contrastive learning begins.

    Raises:
        ConfigurationError: the model is not of the shape that masked autoencoding takes; or as `fit`.
        CheckpointError: as `fit`.
    """
    start = copy.deepcopy(model)
    if config.objective == "contrastive":
        return fit(Contrastive(start, log_scale), [unlabelled], config, loop)
    return with_statistics(fit(MAE(start, config.mae), [unlabelled], config, loop), unlabelled, loop)


@torch.no_grad()
def with_statistics(model: Model, source: Source, loop: Loop) -> Model:
    """Give the BatchNorms in front of the embeddings the statistics of `source`: MAE never comes by them.

    Without, what all embeddings of a modality share outweighs the rest, and where a modality is added or
    missing, the pooled mean moves to where the head knows nothing.
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
