"""Frames: the pictures of a film, or one image."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sensemble_sensors.codecs.tracks import frame_size
from sensemble_sensors.kinds.one_channel import range_problem
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import window
from sensemble_sensors.spec import InputSpec, Modality
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import ClassToken, EncoderConfig, TokenEncoder, Trunk, flat, make_stem
from sensemble_train.models.frontend import RelativeFrames, ScaledFrames, VideoInput
from sensemble_train.models.kinds.backgrounds import pictures
from sensemble_train.models.kinds.frames_augment import change_frames, change_levels, warp
from sensemble_train.models.kinds.kind import Kind, measured
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained.sources import LARGE, side

_FRAMES = 4  # of a film, where nothing else is said
_SAMPLED, _MEASURED = 64, 4  # examples that may be images; whose size is measured
_PLAIN = 1e-4  # of the range: the least deviation of one channel's pixels


class Frames(Kind):
    """Pictures: uint8 [B, T, H, W, 3], RGB, or float32 [B, T, H, W, 1]."""

    name = "frames"

    def fit(
        self, shape: ModelConfig, modality: Modality, examples: Sequence[Example], source: str
    ) -> ModelConfig:
        """Return one frame for images, and a size near the media's, at most a pretrained encoder's."""
        if problem := range_problem(modality.channels):
            raise ConfigurationError(f"modalities.json: {modality.name}: {problem}")
        if source and modality.channels:
            raise ConfigurationError(
                f"--encoder {modality.name}={source}: it reads RGB, and this has one channel"
            )
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
        """Return uint8 [1, T, H, W, 3] or, of one channel, float32 [1, T, H, W, 1]."""
        window, channels = shape.seconds, modality.channels
        size = (1, shape.frames, shape.side, shape.side, len(channels) or 3)
        dtype, rate = kind_of(modality).window_dtype(channels), shape.frames / window
        return InputSpec(modality.name, dtype, size, rate, window, hop, 2 * window, modality.kind, channels)

    def fit_scale(self, config: EncoderConfig, spec: InputSpec, examples: Sequence[Example]) -> EncoderConfig:
        """Return the mean and the deviation of pictures of one channel; RGB has none."""
        if not spec.channels:
            return config
        own = [example for example in examples if example.split in {"pretrain", "train"}] or examples
        shown = own[:: max(1, len(own) // _SAMPLED)]
        pixels = np.concatenate([np.ravel(one) for one in measured(lambda e: window(e, spec), shown)])
        return replace(config, scales=((float(pixels.mean()), max(float(pixels.std()), _PLAIN)),))

    def encoder_config(self, base: EncoderConfig, spec: InputSpec, shape: ModelConfig) -> EncoderConfig:
        """Return learned positions and, in small models, 16 tokens: each of all frames and a quarter side."""
        if not shape.fitted:
            return base
        _, frames, height, _, _ = spec.shape
        return replace(base, patch=height // 4, tubelet=frames)

    def encoder(self, spec: InputSpec, config: EncoderConfig) -> "FramesEncoder":
        """See `Kind`."""
        return FramesEncoder(spec, config)

    def change(self, raw: Tensor, config: AugmentConfig, tokenizer: Tokenizer | None) -> Tensor:
        """Change the view and, of RGB, light and colours."""
        del tokenizer
        seen = warp(raw, config.warp) if config.warp else raw
        return change_frames(seen, config) if config.colours and raw.shape[-1] == 3 else seen

    def augment(
        self, features: Tensor, config: AugmentConfig, encoder: EncoderConfig, tokenizer: Tokenizer | None
    ) -> Tensor:
        """Change the view; light and colours of RGB; gain, offset and noise of one channel."""
        changed = self.change(features, config, tokenizer)
        return change_levels(changed, config, *encoder.scales[0]) if encoder.scales else changed

    def backgrounds(self, spec: InputSpec, encoder: EncoderConfig, count: int, draw: Generator) -> Tensor:
        """Return plain, shaded and noisy pictures."""
        _, times, height, width, _ = spec.shape
        made = pictures(count, times, height, width, draw)
        if not spec.channels:
            return made
        ((mean, deviation),) = encoder.scales or ((0.5, 0.25),)
        return (mean + deviation * (made[..., :1].float() / 64 - 2)).clamp(0, 1)


class FramesEncoder(TokenEncoder):
    """Frames [B, T, H, W, C] -> float32 [B, d], with separable space-time positions (App. D)."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        _, frames, height, width, colours = spec.shape
        self.tubelet = min(config.tubelet, frames)
        if frames % self.tubelet:
            raise ConfigurationError(f"{frames} video frames do not divide into tubelets of {self.tubelet}")
        self.grid = frames // self.tubelet, height // config.patch, width // config.patch
        if spec.channels:
            self.input: nn.Module = ScaledFrames(*(config.scales or ((0.5, 0.25),))[0])
        else:
            self.input = RelativeFrames() if config.relative else VideoInput()
        self.stem = make_stem(colours * self.tubelet, config)
        times, *places = self.grid
        self.space = nn.Parameter(0.02 * torch.randn(1, 1, math.prod(places), config.width))
        self.time = nn.Parameter(0.02 * torch.randn(1, times, 1, config.width))
        self.start = ClassToken(config.width) if config.clip else nn.Identity()
        self.trunk = Trunk(config)

    def tokens(self, features: Tensor) -> Tensor:
        """Normalize raw clips, and cut them into patches."""
        images = self.input(features)
        images = images.reshape(-1, images.shape[1] * self.tubelet, *images.shape[2:])
        tokens = flat(self.stem(images))
        tokens = tokens.reshape(-1, self.grid[0], *tokens.shape[1:]) + (self.space + self.time)
        return self.start(tokens.flatten(1, 2))  # type: ignore[no-any-return]
