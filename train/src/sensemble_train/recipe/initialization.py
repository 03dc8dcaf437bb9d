"""The initial model of a run: its shape, its tokenizer and its weights."""

from dataclasses import asdict, replace
from pathlib import Path

from sensemble_sensors.media.dataset import Dataset
from tokenizers import Tokenizer

from sensemble_train.distributed import World
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.clip_tokens import clip_tokenizer
from sensemble_train.models.clip_weights import initialize, read_clip
from sensemble_train.models.infer_spec import describe
from sensemble_train.models.model import Description, Model, load_model
from sensemble_train.models.presets import small, small_mae
from sensemble_train.models.pretrained.sources import tokenizer as own_tokenizer
from sensemble_train.models.tokenizer import train_tokenizer
from sensemble_train.objectives.contrastive import LOG_SCALE
from sensemble_train.recipe.config import RANDOM, Config


def check_initialize(config: Config) -> None:
    """Refuse to probe and finetune untrained encoders, unless the configuration asks for it.

    Raises:
        ConfigurationError: `initialize` is empty although the encoders should be pretrained already.
    """
    nothing = not (config.pretrain.steps or config.pretrain.epochs)
    if config.initialize or not (nothing or config.model.name == "clip_b16"):
        return
    why = "this run pretrains nothing" if nothing else "clip_b16 starts from CLIP's weights (App. D)"
    what = "OpenAI's ViT-B-16.pt or the pretrained/ of a run"
    if config.model.name != "clip_b16":
        what = "the pretrained/ of a run"
    raise ConfigurationError(f"--initialize: {why}; give {what}, or `{RANDOM}` to train from scratch")


def new_model(config: Config, dataset: Dataset, world: World) -> tuple[Model, float]:
    """Make the model that `config` describes for `dataset`; draws from torch's global generator.

    Args:
        config: describes the model.
        dataset: gives the labels, the sizes that fit it, and the captions that a tokenizer learns from.
        world: rank 0 trains the tokenizer for all ranks.

    Returns:
        The model, and the logarithm of the initial inverse temperature of contrastive learning.

    Raises:
        ConfigurationError: the dataset or the settings do not fit the model.
        CheckpointError: a file of weights or merges cannot be used.
    """
    description = describe(dataset, config.model, config.pretrain.objective, config.task, config.encoders)
    path = Path(config.initialize)
    if not config.from_scratch and path.is_dir():
        return _of_another_run(path, description, config), LOG_SCALE
    model = Model(description, _tokenizer(config, description, dataset, world))
    if config.from_scratch:
        return model, LOG_SCALE
    return model, initialize(model, read_clip(path))


def _tokenizer(config: Config, description: Description, dataset: Dataset, world: World) -> Tokenizer | None:
    if not description.tokenized:
        return None
    (modality,) = description.tokenized
    length = description.specs[modality].shape[1]
    vocabulary, source = description.configs[modality].vocabulary, description.configs[modality].source
    if source and (own := own_tokenizer(source, length)):
        return own
    if config.model.name == "clip_b16":
        if not config.merges:
            raise ConfigurationError(
                "--merges: clip_b16 needs CLIP's tokenizer; give OpenAI's bpe_simple_vocab_16e6.txt.gz"
            )
        tokenizer = clip_tokenizer(Path(config.merges), length)
        if vocabulary < tokenizer.get_vocab_size():
            raise ConfigurationError(
                f"--model.vocabulary {vocabulary}: CLIP's captions need {tokenizer.get_vocab_size()}"
            )
        return tokenizer

    def learn() -> str:
        examples = dataset.split("pretrain") or dataset.split("train")
        captions = [e.text for e in examples if e.text is not None]
        return train_tokenizer(captions, vocabulary).to_str()

    return Tokenizer.from_str(world.first(learn))


def _of_another_run(folder: Path, wanted: Description, config: Config) -> Model:
    """Take the encoders of a saved model, for the modalities and labels of another dataset.

    The configuration must state their shape, since a run folder records no other description of the run.
    Sizes taken from the dataset may differ: inputs then have the sizes of the saved model.
    """
    saved = load_model(folder)
    lacking = set(wanted.specs) - set(saved.modalities)
    if lacking:
        raise ConfigurationError(f"{folder}: has no encoder of {', '.join(sorted(lacking))}")
    old, description = saved.description, wanted
    if config.model.fitted:
        specs = {m: old.specs[m] for m in wanted.specs}
        preset = small_mae if config.pretrain.objective == "mae" else small
        description = replace(wanted, specs=specs, configs=preset(specs, config.model))
    _same_encoders(folder, old, description)
    model = Model(description, saved.tokenizer if description.tokenized else None)
    for m, encoder in model.encoders.items():
        encoder.load_state_dict(saved.encoders[m].state_dict())
    return model


def _same_encoders(folder: Path, old: Description, new: Description) -> None:
    """Refuse a saved model whose shape differs from the configuration; its drop path may."""
    for m, config in new.configs.items():
        theirs = {"shared": old.shared, "shape": old.specs[m].shape, **asdict(old.configs[m])}
        ours = {"shared": new.shared, "shape": new.specs[m].shape, **asdict(config)}
        odd = [name for name in ours if name != "drop_path" and ours[name] != theirs[name]]
        if odd:
            raise ConfigurationError(
                f"--initialize {folder}: its encoder of {m} has {odd[0]} {theirs[odd[0]]}, the configuration "
                f"says {ours[odd[0]]}; set --model and --pretrain.objective as in that run's config.json, or "
                "use the matching experiment, such as kinetics_mae"
            )
