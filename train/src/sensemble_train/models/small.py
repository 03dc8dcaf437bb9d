"""The small model: encoders of about half a million weights with convolutional stems, for few clips."""

from collections.abc import Mapping
from dataclasses import replace

from sensemble_sensors.spec import InputSpec

from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model_config import ModelConfig

SMALL = ModelConfig()


def small(specs: Mapping[str, InputSpec], shape: ModelConfig = SMALL) -> dict[str, EncoderConfig]:
    """Return the configuration of each encoder, by modality."""
    base = replace(plain(shape), activation="relu", stem=(32, 64), patch=32, relative=True)
    return by_kind(base, specs, shape)


def plain(shape: ModelConfig) -> EncoderConfig:
    """Return a vision transformer of these sizes."""
    return EncoderConfig(shape.width, shape.depth, shape.heads, shape.embedding, drop_path=shape.drop_path)


def by_kind(
    base: EncoderConfig, inputs: Mapping[str, InputSpec], shape: ModelConfig
) -> dict[str, EncoderConfig]:
    """Return `base` as the kind of each modality changes it."""
    return {m: kind_of(spec).encoder_config(base, spec, shape) for m, spec in inputs.items()}
