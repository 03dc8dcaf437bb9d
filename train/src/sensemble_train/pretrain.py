"""Pretraining on unlabelled examples: one encoder per modality, one space (paper, Sec. 4.1 and App. A)."""

import copy
from dataclasses import dataclass, field

from sensemble_train.contrastive import LOG_SCALE, Contrastive
from sensemble_train.data import Source
from sensemble_train.mae import MAE, MAEConfig
from sensemble_train.model import Model
from sensemble_train.presets import Pretraining
from sensemble_train.schedule import Optimization
from sensemble_train.trainer import Loop, fit


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(Optimization):
    """How the encoders are pretrained (Table 7, "Pretraining"); values of `digits`.

    Attributes:
        objective: contrastive learning, or masked autoencoding, which the encoders have to be shaped for.
        mae: what masked autoencoding masks, and its decoder.
    """

    objective: Pretraining = "contrastive"
    mae: MAEConfig = field(default_factory=MAEConfig)

    steps: int = 240
    batch: int = 100
    learning_rate: float = 1e-3
    warmup: int = 24


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
    objective = MAE(start, config.mae) if config.objective == "mae" else Contrastive(start, log_scale)
    return fit(objective, [unlabelled], config, loop)
