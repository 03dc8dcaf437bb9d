"""Pretraining on unlabelled examples: one encoder per modality into a shared space (paper, Sec. 4.1)."""

import copy
from dataclasses import dataclass

from sensemble_train.contrastive import Contrastive
from sensemble_train.data import Source
from sensemble_train.model import Model
from sensemble_train.presets import Objective
from sensemble_train.schedule import Optimization
from sensemble_train.trainer import Loop, fit


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(Optimization):
    """How the encoders are pretrained (Table 7, "Pretraining"); values of `digits`.

    Attributes:
        objective: contrastive learning (Sec. 4.1), or masked autoencoding (App. A), which shapes `small` too.
    """

    objective: Objective = "contrastive"

    steps: int = 240
    batch: int = 100
    learning_rate: float = 1e-3
    warmup: int = 24


def pretrain(model: Model, unlabelled: Source, config: PretrainConfig, loop: Loop) -> Model:
    """Return a copy of `model` whose encoders were trained by InfoNCE over all pairs of modalities.

    Args:
        model: what to begin with.
        unlabelled: the pretraining examples.
        config: the optimizer's settings.
        loop: how and where to train.

    Raises:
        ConfigurationError, CheckpointError: as `fit`.
    """
    return fit(Contrastive(copy.deepcopy(model)), [unlabelled], config, loop)
