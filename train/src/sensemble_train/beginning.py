"""What a run begins with: the shape of the model, its tokenizer and its first weights."""

from dataclasses import replace
from pathlib import Path

from sensemble_sensors.dataset import Dataset
from tokenizers import Tokenizer

from sensemble_train import presets
from sensemble_train.clip_tokens import clip_tokenizer
from sensemble_train.clip_weights import initialize, read_clip
from sensemble_train.config import Config
from sensemble_train.contrastive import LOG_SCALE
from sensemble_train.errors import ConfigurationError
from sensemble_train.model import Description, Model, load_model
from sensemble_train.parallel import World
from sensemble_train.tokens import train_tokenizer

_PAPERS = {"vit_b16": presets.vit_b16, "clip_b16": presets.clip_b16, "mae_b16": presets.mae_b16}


def new_model(config: Config, dataset: Dataset, world: World) -> tuple[Model, float]:
    """Make the model that `config` describes for `dataset`; draws from torch's global generator.

    Args:
        config: says which.
        dataset: gives the labels, the derived shapes, and the captions that a tokenizer learns from.
        world: its first rank trains the tokenizer, for all.

    Returns:
        The model, and the logarithm of the inverse temperature with which contrastive learning begins.

    Raises:
        ConfigurationError: the dataset or the settings do not fit the model.
        CheckpointError: a file of weights or merges cannot be used.
    """
    if config.initialize and Path(config.initialize).is_dir():
        return _of_another_run(Path(config.initialize), presets.describe(dataset)), LOG_SCALE
    description = _description(config, dataset)
    model = Model(description, _tokenizer(config, description, dataset, world))
    if not config.initialize:
        return model, LOG_SCALE
    return model, initialize(model, read_clip(Path(config.initialize)))


def _description(config: Config, dataset: Dataset) -> Description:
    found = presets.describe(dataset, config.pretrain.objective)
    if config.model == "small":
        return found
    still = "video" in found.specs and found.specs["video"].shape[1] == 1
    return _PAPERS[config.model](found.labels, tuple(found.specs), found.task, 1 if still else 8)


def _tokenizer(config: Config, description: Description, dataset: Dataset, world: World) -> Tokenizer | None:
    if "text" not in description.specs:
        return None
    length = description.specs["text"].shape[1]
    if config.model == "clip_b16":
        if not config.merges:
            raise ConfigurationError(
                "--merges: clip_b16 reads captions as CLIP does; give OpenAI's bpe_simple_vocab_16e6.txt.gz"
            )
        return clip_tokenizer(Path(config.merges), length)

    def learn() -> str:
        examples = dataset.split("pretrain") or dataset.split("train")
        captions = [e.text for e in examples if e.text is not None]
        return train_tokenizer(captions, description.configs["text"].vocabulary).to_str()

    return Tokenizer.from_str(world.first(learn))


def _of_another_run(folder: Path, wanted: Description) -> Model:
    """Take the encoders of a saved model, for the modalities and labels of another dataset."""
    saved = load_model(folder)
    lacking = set(wanted.specs) - set(saved.modalities)
    if lacking:
        raise ConfigurationError(f"{folder}: has no encoder of {', '.join(sorted(lacking))}")
    old = saved.description
    description = replace(
        old,
        specs={m: old.specs[m] for m in wanted.specs},
        configs={m: old.configs[m] for m in wanted.specs},
        labels=wanted.labels,
        task=wanted.task,
    )
    model = Model(description, saved.tokenizer if "text" in description.specs else None)
    for m, encoder in model.encoders.items():
        encoder.load_state_dict(saved.encoders[m].state_dict())
    return model
