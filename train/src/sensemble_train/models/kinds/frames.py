"""Frames: the pictures of a film, or one image."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from sensemble_sensors.codecs.tracks import frame_size
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec, Modality
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import (
    ClassToken,
    EncoderConfig,
    PatchEncoder,
    Trunk,
    flat,
    make_stem,
)
from sensemble_train.models.frontend import RelativeFrames, VideoInput
from sensemble_train.models.kinds.backgrounds import pictures
from sensemble_train.models.kinds.frames_augment import change_frames
from sensemble_train.models.kinds.kind import Kind, measured
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained.sources import LARGE, side

_FRAMES = 4  # of a film, where nothing else is said
_SAMPLED, _MEASURED = 64, 4  # examples that may be images; whose size is measured


class Frames(Kind):
    """Pictures: uint8 [B, T, H, W, 3], RGB."""

    name = "frames"

    def fit(
        self, shape: ModelConfig, modality: Modality, examples: Sequence[Example], source: str
    ) -> ModelConfig:
        """Return one frame where all examples are images, and a size near the media's.

        A pretrained encoder sees pictures as they are, at most at the size of its training.
        """
        kind = kind_of(self.name)
        films = any(kind.files(example, modality.name) for example in examples[:_SAMPLED])
        shape = replace(shape, frames=(shape.frames or _FRAMES) if films else 1)
        if shape.side and not source:
            return shape

        def shortest(example: Example) -> int:
            paths = (example.value(field) for field in kind.fields(modality.name))
            return min(frame_size(next(path for path in paths if isinstance(path, Path))))

        smallest = int(min(measured(shortest, examples[:_MEASURED]), default=LARGE))
        if source:
            return replace(shape, side=min(smallest, side(source)) // 16 * 16)
        return replace(shape, side=32 if smallest <= LARGE else 64)

    def spec(self, modality: Modality, shape: ModelConfig, hop: float) -> InputSpec:
        """Return uint8 [1, T, H, W, 3]."""
        window, size = shape.seconds, (1, shape.frames, shape.side, shape.side, 3)
        return InputSpec(
            modality.name, "uint8", size, shape.frames / window, window, hop, 2 * window, modality.kind
        )

    def encoder_config(self, base: EncoderConfig, spec: InputSpec, shape: ModelConfig) -> EncoderConfig:
        """Return learned positions and, in small models, 16 tokens: each of all frames and a quarter side."""
        if not shape.fitted:
            return replace(base, sinusoidal=False)
        _, frames, height, _, _ = spec.shape
        return replace(base, sinusoidal=False, patch=height // 4, tubelet=frames)

    def encoder(self, spec: InputSpec, config: EncoderConfig) -> "FramesEncoder":
        """See `Kind`."""
        return FramesEncoder(spec, config)

    def change(self, raw: Tensor, config: AugmentConfig, tokenizer: Tokenizer | None) -> Tensor:
        """Change light, colours and sharpness."""
        del tokenizer
        return change_frames(raw, config) if config.frames else raw

    def backgrounds(self, spec: InputSpec, encoder: EncoderConfig, count: int, draw: Generator) -> Tensor:
        """Return plain, shaded and noisy pictures."""
        del encoder
        _, times, height, width, _ = spec.shape
        return pictures(count, times, height, width, draw)


class FramesEncoder(PatchEncoder):
    """uint8 [B, T, H, W, 3] RGB -> float32 [B, d], with separable space-time positions (App. D)."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        _, frames, height, width, _ = spec.shape
        self.patch = config.patch
        self.tubelet = min(config.tubelet, frames)
        if frames % self.tubelet:
            raise ConfigurationError(f"{frames} video frames do not divide into tubelets of {self.tubelet}")
        if config.sinusoidal:
            raise ConfigurationError("the positions of video are learned, and cannot be sinusoidal")
        self.grid = frames // self.tubelet, height // config.patch, width // config.patch
        self.input = RelativeFrames() if config.relative else VideoInput()
        self.stem = make_stem(3 * self.tubelet, config)
        times, *places = self.grid
        self.space = nn.Parameter(0.02 * torch.randn(1, 1, math.prod(places), config.width))
        self.time = nn.Parameter(0.02 * torch.randn(1, times, 1, config.width))
        self.start = ClassToken(config.width) if config.clip else nn.Identity()
        self.trunk = Trunk(config)

    def images(self, features: Tensor) -> Tensor:
        """Normalize clips, which are kept as bytes: float32 [B * times, 3 * tubelet, H, W]."""
        images = self.input(features)
        return images.reshape(-1, 3 * self.tubelet, *images.shape[2:])  # type: ignore[no-any-return]

    def tokens(self, features: Tensor) -> Tensor:
        """Cut clips into patches."""
        tokens = flat(self.stem(self.images(features)))
        tokens = tokens.reshape(-1, self.grid[0], *tokens.shape[1:]) + (self.space + self.time)
        return self.start(tokens.flatten(1, 2))  # type: ignore[no-any-return]
