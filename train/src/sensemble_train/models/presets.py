"""Models by name: small ones, and the paper's vit_b16, clip_b16 and mae_b16 (Tables 5 and 6, App. D)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.spec import MODALITIES, InputSpec

from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.kinds.registry import KINDS
from sensemble_train.models.model import Description
from sensemble_train.models.model_config import ModelConfig

SMALL = ModelConfig()
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
)
"""The same ViT-B/16 for every modality, at the input sizes of Table 6."""
CLIP_B16 = replace(VIT_B16, name="clip_b16", text_heads=8, embedding=512, vocabulary=49408)
"""The shape of CLIP ViT-B/16, whose text encoder and vocabulary are smaller (Table 5)."""
MAE_B16 = replace(VIT_B16, name="mae_b16")


def small(specs: Mapping[str, InputSpec], shape: ModelConfig = SMALL) -> dict[str, EncoderConfig]:
    """Return encoders of about half a million weights with convolutional stems, for few clips."""
    base = replace(_plain(shape), activation="relu", stem=(32, 64), patch=32, relative=True)
    return _configs(base, specs, shape)


def small_mae(specs: Mapping[str, InputSpec], shape: ModelConfig = SMALL) -> dict[str, EncoderConfig]:
    """Return small encoders for masked autoencoding, with plain patches: convolutions overlap.

    They are as deep as `small`, with as many tokens of a film, so that two cores train them in minutes too.
    """
    base = replace(_plain(shape), project=False, sinusoidal=True, relative=True)
    return _configs(base, specs, shape)


def vit_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = tuple(MODALITIES),
    task: Task = "multi-label",
    shape: ModelConfig = VIT_B16,
) -> Description:
    """Return the paper's contrastive model (App. D).

    Args:
        labels: name of each class.
        modalities: the modalities to encode.
        task: of the labels.
        shape: its sizes.
    """
    inputs = specs(shape, modalities)
    return Description(inputs, _configs(replace(_plain(shape), spread=False), inputs, shape), labels, task)


def clip_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = tuple(MODALITIES),
    task: Task = "multi-label",
    shape: ModelConfig = CLIP_B16,
) -> Description:
    """Return the paper's contrastive model in CLIP ViT-B/16's shape, for `clip_weights`; as `vit_b16`."""
    base = replace(_plain(shape), spread=False, activation="quick_gelu", clip=True)
    inputs = specs(shape, modalities)
    return Description(inputs, _configs(base, inputs, shape), labels, task)


def mae_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = tuple(MODALITIES),
    task: Task = "multi-label",
    shape: ModelConfig = MAE_B16,
) -> Description:
    """Return the paper's model for MAE: a ViT-B/16 per modality that share the last block; as `vit_b16`."""
    base = replace(_plain(shape), spread=False, project=False, sinusoidal=True)
    inputs = specs(shape, modalities)
    return Description(inputs, _configs(base, inputs, shape), labels, task, shape.shared)


PAPERS: dict[str, Callable[[tuple[str, ...], Sequence[str], Task, ModelConfig], Description]] = {
    "vit_b16": vit_b16,
    "clip_b16": clip_b16,
    "mae_b16": mae_b16,
}


def specs(shape: ModelConfig, modalities: Sequence[str]) -> dict[str, InputSpec]:
    """Return the inputs of the paper's encoders (Table 6)."""
    return {m: KINDS[MODALITIES[m]].spec(m, shape, hop=1.0) for m in modalities}


def _plain(shape: ModelConfig) -> EncoderConfig:
    return EncoderConfig(shape.width, shape.depth, shape.heads, shape.embedding, drop_path=shape.drop_path)


def _configs(
    base: EncoderConfig, inputs: Mapping[str, InputSpec], shape: ModelConfig
) -> dict[str, EncoderConfig]:
    return {m: KINDS[spec.kind].encoder_config(base, spec, shape) for m, spec in inputs.items()}
