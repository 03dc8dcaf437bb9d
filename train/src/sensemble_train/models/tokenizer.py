"""The tokenizer of a model: a pretrained encoder's own, or one learned from the dataset's captions."""

from collections.abc import Iterable

from sensemble_sensors.media.dataset import Dataset
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from sensemble_train.distributed import World
from sensemble_train.models.model import Description
from sensemble_train.models.pretrained.sources import tokenizer as own_tokenizer


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


def train_tokenizer(captions: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn byte-level BPE of at most `vocabulary` ids from `captions`; id 0 is padding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["[PAD]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    return tokenizer
