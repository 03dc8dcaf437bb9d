"""The paper's models vit_b16, clip_b16 and mae_b16 (Tables 5 and 6, App. D), and a small one for MAE."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.media.dataset import Dataset
from sensemble_sensors.spec import KNOWN, InputSpec, Modality

from sensemble_train.experiments.config import Experiment
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.infer_spec import describe, labels_and_task
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model import Description
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.small import SMALL, by_kind, plain

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
_CHANGES: dict[str, dict[str, Any]] = {
    "vit_b16": {},
    "clip_b16": {"activation": "quick_gelu", "clip": True},
    "mae_b16": {"project": False, "sinusoidal": True},
}


def paper_model(
    shape: ModelConfig,
    labels: tuple[str, ...],
    modalities: Sequence[str] = tuple(KNOWN),
    task: Task = "multi-label",
) -> Description:
    """Return the paper's model of one of the shapes above, or of other sizes of it."""
    specs = {m: kind_of(Modality(m)).spec(Modality(m), shape, hop=1.0) for m in modalities}
    base = replace(plain(shape), spread=False, **_CHANGES[shape.name])
    shared = shape.shared if shape.name == "mae_b16" else 0
    return Description(specs, by_kind(base, specs, shape), labels, task, shared)


def small_mae(specs: Mapping[str, InputSpec], shape: ModelConfig = SMALL) -> dict[str, EncoderConfig]:
    """Return encoders for MAE, as small as `small`, with plain patches, as convolutions overlap."""
    return by_kind(replace(plain(shape), project=False, sinusoidal=True, relative=True), specs, shape)


def describe_model(config: Experiment, dataset: Dataset) -> Description:
    """Describe the model of an experiment; see `infer_spec.describe`."""
    if not config.model.fitted:
        labels, task = labels_and_task(dataset, config.task)
        shape = config.model
        for modality in map(dataset.modality, dataset.modalities):
            every = [example for example in dataset.known if modality.name in example.modalities]
            shape = kind_of(modality).fit(shape, modality, every, "")
        return paper_model(shape, labels, dataset.modalities, task)
    small = describe(dataset, config.model, config.task, config.encoders, config.unfrozen)
    if config.pretrain.objective == "contrastive":
        return small
    return replace(small, configs=small_mae(small.specs, config.model), shared=config.model.shared)
