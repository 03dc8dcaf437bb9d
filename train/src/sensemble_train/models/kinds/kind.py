"""The interface of a kind in training."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import ClassVar, TypeVar

import torch
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec, Modality
from tokenizers import Tokenizer
from torch import Generator, Tensor

from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import Encoder, EncoderConfig
from sensemble_train.models.model_config import ModelConfig

T = TypeVar("T")


class Kind(ABC):
    """A sort of modality, such as sound; one instance serves all modalities of the kind."""

    name: ClassVar[str]  # as `InputSpec.kind` has it

    def fit(
        self, shape: ModelConfig, modality: Modality, examples: Sequence[Example], source: str
    ) -> ModelConfig:
        """Return `shape` with the open sizes of one modality, by its examples and pretrained `source`."""
        del modality, examples, source
        return shape

    def fit_scale(self, config: EncoderConfig, spec: InputSpec, examples: Sequence[Example]) -> EncoderConfig:
        """Return `config` with the scale of the inputs, measured on examples that have the modality."""
        del spec, examples
        return config

    @abstractmethod
    def spec(self, modality: Modality, shape: ModelConfig, hop: float) -> InputSpec:
        """Return the encoder's input of the sizes of `shape`; `hop` is in seconds."""

    def encoder_config(self, base: EncoderConfig, spec: InputSpec, shape: ModelConfig) -> EncoderConfig:
        """Return `base`, the configuration of a preset, which is written for sound, adapted to this kind."""
        del spec, shape
        return base

    @abstractmethod
    def encoder(self, spec: InputSpec, config: EncoderConfig) -> Encoder:
        """Make an encoder with random weights; raises ConfigurationError if `config` does not fit `spec`."""

    def change(self, raw: Tensor, config: AugmentConfig, tokenizer: Tokenizer | None) -> Tensor:  # noqa: ARG002
        """Return raw windows [B, ...] changed at random; draws from torch's global generator."""
        return raw

    def augment(
        self, features: Tensor, config: AugmentConfig, encoder: EncoderConfig, tokenizer: Tokenizer | None
    ) -> Tensor:
        """Return features of the front end of `encoder` changed as `change` does; by default, raw windows."""
        del encoder
        return self.change(features, config, tokenizer)

    @abstractmethod
    def backgrounds(self, spec: InputSpec, encoder: EncoderConfig, count: int, draw: Generator) -> Tensor:
        """Return raw windows [count, ...] of `spec` that show nothing: silence, blank pictures."""


def to_train_on(examples: Sequence[Example], count: int) -> Sequence[Example]:
    """Return about `count` examples to train on, or else any, from all over the dataset."""
    own = [example for example in examples if example.split in {"pretrain", "train"}] or examples
    return own[:: max(1, math.ceil(len(own) / count))]


def measured(measure: Callable[[Example], T], examples: Iterable[Example]) -> Iterator[T]:
    """Measure the examples that can be read; the others are reported when they are decoded."""
    for example in examples:
        with suppress(BadDataError):
            yield measure(example)


def between(count: int, low: float, high: float, draw: Generator) -> Tensor:
    """Draw `count` numbers from `low` to `high`."""
    return low + (high - low) * torch.rand(count, generator=draw)
