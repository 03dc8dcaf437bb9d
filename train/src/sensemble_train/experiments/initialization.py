"""The initial model of an experiment: new, from CLIP's weights, or with the encoders of another run."""

from dataclasses import asdict, replace
from pathlib import Path

from sensemble_sensors.media.dataset import Dataset
from tokenizers import Tokenizer

from sensemble_train.distributed import World
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.architectures import describe_model
from sensemble_train.experiments.clip_tokens import clip_tokenizer
from sensemble_train.experiments.clip_weights import initialize, read_clip
from sensemble_train.experiments.config import Experiment
from sensemble_train.models.model import Description, Model, load_model
from sensemble_train.models.small import small
from sensemble_train.objectives.contrastive import LOG_SCALE
from sensemble_train.recipe.recipe import new_tokenizer


def new_model(config: Experiment, dataset: Dataset, world: World) -> tuple[Model, float]:
    """Make the model for `dataset`, as `recipe.new_model`; raises CheckpointError for bad files, too."""
    description = describe_model(config, dataset)
    path = Path(config.initialize)
    if not config.from_scratch and path.is_dir():
        return _of_another_run(path, description, config), LOG_SCALE
    clip = config.model.name == "clip_b16" and bool(description.tokenized)
    tokenizer = _clip_tokenizer(config, description) if clip else new_tokenizer(description, dataset, world)
    model = Model(description, tokenizer)
    return model, LOG_SCALE if config.from_scratch else initialize(model, read_clip(path))


def _clip_tokenizer(config: Experiment, description: Description) -> Tokenizer:
    if not config.merges:
        raise ConfigurationError(
            "--merges: clip_b16 needs CLIP's tokenizer; give OpenAI's bpe_simple_vocab_16e6.txt.gz"
        )
    (modality,) = description.tokenized
    tokenizer = clip_tokenizer(Path(config.merges), description.specs[modality].shape[1])
    vocabulary = description.configs[modality].vocabulary
    if vocabulary < tokenizer.get_vocab_size():
        raise ConfigurationError(
            f"--model.vocabulary {vocabulary}: CLIP's captions need {tokenizer.get_vocab_size()}"
        )
    return tokenizer


def _of_another_run(folder: Path, wanted: Description, config: Experiment) -> Model:
    """Take a saved model's encoders and their sizes; the configuration must have the same shape."""
    saved = load_model(folder)
    lacking = set(wanted.specs) - set(saved.modalities)
    if lacking:
        raise ConfigurationError(f"{folder}: has no encoder of {', '.join(sorted(lacking))}")
    old, description = saved.description, wanted
    if config.model.fitted:
        specs = {m: old.specs[m] for m in wanted.specs}
        description = replace(wanted, specs=specs, configs=small(specs, config.model))
    _same_encoders(folder, old, description)
    model = Model(description, saved.tokenizer if description.tokenized else None)
    for m, encoder in model.encoders.items():
        encoder.load_state_dict(saved.encoders[m].state_dict())
    return model


def _same_encoders(folder: Path, old: Description, new: Description) -> None:
    """Refuse a saved model whose shape differs from the configuration; its drop path may."""
    for m, config in new.configs.items():
        theirs = {"shape": old.specs[m].shape, **asdict(old.configs[m])}
        ours = {"shape": new.specs[m].shape, **asdict(config)}
        name = next((n for n in ours if n != "drop_path" and ours[n] != theirs[n]), None)
        if name is not None:
            raise ConfigurationError(
                f"--initialize {folder}: its encoder of {m} has {name} {theirs[name]}, the configuration "
                f"says {ours[name]}; set --model as in that run's config.json"
            )
