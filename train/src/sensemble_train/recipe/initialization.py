"""The initial model of a run: its shape, its tokenizer and its weights."""

from sensemble_sensors.media.dataset import Dataset
from tokenizers import Tokenizer

from sensemble_train.distributed import World
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.infer_spec import describe
from sensemble_train.models.model import Description, Model
from sensemble_train.models.pretrained.sources import tokenizer as own_tokenizer
from sensemble_train.models.tokenizer import train_tokenizer
from sensemble_train.objectives.contrastive import LOG_SCALE
from sensemble_train.recipe.config import Config


def new_model(config: Config, dataset: Dataset, world: World) -> tuple[Model, float]:
    """Make the small model that fits `dataset`; draws from torch's global generator.

    Returns:
        The model, and the logarithm of the initial inverse temperature of contrastive learning.

    Raises:
        ConfigurationError: the dataset or the settings do not fit the model.
    """
    if not config.ships:
        raise ConfigurationError(
            "--model.name, --initialize and --pretrain.objective are of the paper's experiments: run them by "
            "`sensemble train matrix`, or leave these out"
        )
    description = describe(dataset, config.model, config.task, config.encoders)
    return Model(description, new_tokenizer(description, dataset, world)), LOG_SCALE


def new_tokenizer(description: Description, dataset: Dataset, world: World) -> Tokenizer | None:
    """Return a pretrained encoder's own tokenizer, or learn one on rank 0; None without text."""
    if not description.tokenized:
        return None
    (modality,) = description.tokenized
    config = description.configs[modality]
    if config.source and (own := own_tokenizer(config.source, description.specs[modality].shape[1])):
        return own

    def learn() -> str:
        examples = dataset.split("pretrain") or dataset.split("train")
        return train_tokenizer(
            [str(e.value(modality)) for e in examples if modality in e.modalities], config.vocabulary
        ).to_str()

    return Tokenizer.from_str(world.first(learn))
