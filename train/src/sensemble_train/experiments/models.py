"""The paper's models (Tables 5 and 6, App. D): new, from CLIP's weights, or with another run's encoders."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.media.dataset import Dataset
from sensemble_sensors.spec import KNOWN, InputSpec, Modality
from tokenizers import Tokenizer

from sensemble_train.distributed import World
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import Experiment
from sensemble_train.experiments.openai_clip import clip_tokenizer, initialize, read_clip
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.infer_spec import SMALL, by_kind, describe, labels_and_task, plain, small
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model import Description, Model, load_model
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.tokenizer import new_tokenizer
from sensemble_train.objectives.contrastive import LOG_SCALE

VIT_B16 = ModelConfig(
    name="vit_b16",
    width=768,
    depth=12,
    heads=12,
    text_heads=12,
    embedding=768,
    drop_path=0.1,
    frames=8,
    side=224,
    seconds=8.0,
    tokens=60,
    vocabulary=50262,
)  # the same ViT-B/16 for every modality, at the input sizes of Table 6
CLIP_B16 = replace(VIT_B16, name="clip_b16", text_heads=8, embedding=512, vocabulary=49408)
MAE_B16 = replace(VIT_B16, name="mae_b16")  # all modalities share the last block


def paper_model(
    shape: ModelConfig,
    labels: tuple[str, ...],
    modalities: Sequence[str] = tuple(KNOWN),
    task: Task = "multi-label",
) -> Description:
    """Return the paper's model of one of the shapes above, or of other sizes of it."""
    specs = {m: kind_of(Modality(m)).spec(Modality(m), shape, hop=1.0) for m in modalities}
    base = replace(plain(shape), spread=False)
    if shape.name == "clip_b16":
        base = replace(base, activation="quick_gelu", clip=True)
    if shape.name == "mae_b16":
        return Description(specs, by_kind(_masked(base), specs, shape), labels, task, shape.shared)
    return Description(specs, by_kind(base, specs, shape), labels, task)


def small_masked(specs: Mapping[str, InputSpec], shape: ModelConfig = SMALL) -> dict[str, EncoderConfig]:
    """Return encoders for masked autoencoding, as small as `small`, with patches, as convolutions overlap."""
    return by_kind(replace(_masked(plain(shape)), relative=True), specs, shape)


def _masked(base: EncoderConfig) -> EncoderConfig:
    return replace(base, project=False, sinusoidal=True)


def describe_model(config: Experiment, dataset: Dataset) -> Description:
    """Describe the model of an experiment; see `infer_spec.describe`."""
    if not config.model.fitted:
        labels, task = labels_and_task(dataset, config.task)
        shape = config.model
        for modality in map(dataset.modality, dataset.modalities):
            every = [example for example in dataset.known if modality.name in example.modalities]
            shape = kind_of(modality).fit(shape, modality, every, "")
        return paper_model(shape, labels, dataset.modalities, task)
    fitted = describe(dataset, config.model, config.task, config.encoders, config.unfrozen)
    if config.objective == "contrastive":
        return fitted
    return replace(fitted, configs=small_masked(fitted.specs, config.model), shared=config.model.shared)


def new_model(config: Experiment, dataset: Dataset, world: World) -> tuple[Model, float]:
    """Make the model for `dataset`, as `recipe.new_model`; also raises CheckpointError for bad files."""
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
        preset = small if config.objective == "contrastive" else small_masked
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
        name = next((n for n in ours if n != "drop_path" and ours[n] != theirs[n]), None)
        if name is not None:
            raise ConfigurationError(
                f"--initialize {folder}: its encoder of {m} has {name} {theirs[name]}, the configuration "
                f"says {ours[name]}; set --model and --objective as in that run's config.json"
            )
