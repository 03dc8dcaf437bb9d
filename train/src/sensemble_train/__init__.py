"""Train models that survive missing sensors, and the methods of the paper to compare them with."""

from typing import TYPE_CHECKING

from sensemble_sensors.public_names import attach

from sensemble_train.openmp import set_waiting

if TYPE_CHECKING:
    from sensemble_train.errors import CheckpointError as CheckpointError
    from sensemble_train.errors import ConfigurationError as ConfigurationError
    from sensemble_train.errors import DivergedError as DivergedError
    from sensemble_train.errors import TrainError as TrainError
    from sensemble_train.experiments.presets import EXPERIMENTS as EXPERIMENTS
    from sensemble_train.models.augment_config import AugmentConfig as AugmentConfig
    from sensemble_train.models.imported import imported_model as imported_model
    from sensemble_train.models.model import Model as Model
    from sensemble_train.models.model import load_model as load_model
    from sensemble_train.models.model_config import ModelConfig as ModelConfig
    from sensemble_train.models.pretrained.sources import Trained as Trained
    from sensemble_train.recipe.config import Config as Config
    from sensemble_train.recipe.config import derived as derived
    from sensemble_train.recipe.estimate import StageEstimate as StageEstimate
    from sensemble_train.recipe.estimate import estimate as estimate
    from sensemble_train.recipe.instant import Instant as Instant
    from sensemble_train.recipe.instant import instant as instant
    from sensemble_train.recipe.methods import FinetuneConfig as FinetuneConfig
    from sensemble_train.recipe.methods import PretrainConfig as PretrainConfig
    from sensemble_train.recipe.methods import ProbeConfig as ProbeConfig
    from sensemble_train.recipe.recipe import run as run
    from sensemble_train.training.scale import ScaleConfig as ScaleConfig
else:
    __getattr__, __dir__, __all__ = attach(__name__, __file__)

set_waiting()  # whichever module of train or export comes first: torch is not loaded yet
