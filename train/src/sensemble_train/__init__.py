"""Train models that survive missing sensors, and the methods of the paper to compare them with."""

from typing import TYPE_CHECKING

from sensemble_sensors.lazy import attach

if TYPE_CHECKING:
    from sensemble_train.errors import CheckpointError, ConfigurationError, DivergedError, TrainError
    from sensemble_train.experiments.presets import EXPERIMENTS
    from sensemble_train.models.augment_config import AugmentConfig
    from sensemble_train.models.imported import imported_model
    from sensemble_train.models.model import Model, load_model
    from sensemble_train.models.model_config import ModelConfig
    from sensemble_train.models.pretrained.sources import Trained
    from sensemble_train.recipe.config import Config
    from sensemble_train.recipe.derived import derived
    from sensemble_train.recipe.estimate import StageEstimate, estimate
    from sensemble_train.recipe.instant import Instant, instant
    from sensemble_train.recipe.methods import FinetuneConfig, ProbeConfig
    from sensemble_train.recipe.pretrain import PretrainConfig
    from sensemble_train.recipe.recipe import run
    from sensemble_train.training.scale import ScaleConfig

__all__ = [
    "EXPERIMENTS",
    "AugmentConfig",
    "CheckpointError",
    "Config",
    "ConfigurationError",
    "DivergedError",
    "FinetuneConfig",
    "Instant",
    "Model",
    "ModelConfig",
    "PretrainConfig",
    "ProbeConfig",
    "ScaleConfig",
    "StageEstimate",
    "TrainError",
    "Trained",
    "derived",
    "estimate",
    "imported_model",
    "instant",
    "load_model",
    "run",
]

__getattr__, __dir__ = attach(__name__, __file__)
