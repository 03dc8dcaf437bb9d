"""The paper's models vit_b16 and clip_b16 (Tables 5 and 6, App. D)."""

from collections.abc import Sequence
from dataclasses import replace

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.media.dataset import Dataset
from sensemble_sensors.spec import KNOWN, Modality

from sensemble_train.experiments.config import Experiment
from sensemble_train.models.infer_spec import describe, labels_and_task
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model import Description
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.small import by_kind, plain

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
    return Description(specs, by_kind(base, specs, shape), labels, task)


def describe_model(config: Experiment, dataset: Dataset) -> Description:
    """Describe the model of an experiment; see `infer_spec.describe`."""
    if not config.model.fitted:
        labels, task = labels_and_task(dataset, config.task)
        shape = config.model
        for modality in map(dataset.modality, dataset.modalities):
            every = [example for example in dataset.known if modality.name in example.modalities]
            shape = kind_of(modality).fit(shape, modality, every, "")
        return paper_model(shape, labels, dataset.modalities, task)
    return describe(dataset, config.model, config.task, config.encoders, config.unfrozen)
