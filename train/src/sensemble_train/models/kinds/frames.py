"""Frames: the pictures of a film, or one image.

In training, the view, the light and the colours change at random, alike in all frames of a clip.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sensemble_sensors.codecs.tracks import frame_size
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.kinds.thermal import range_problem
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import window
from sensemble_sensors.spec import InputSpec, Modality
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn
from torch.nn import functional

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import (
    ClassToken,
    Encoder,
    EncoderConfig,
    TokenEncoder,
    Trunk,
    flat,
    make_stem,
)
from sensemble_train.models.frontend import RelativeFrames, ScaledFrames, VideoInput
from sensemble_train.models.kinds.kind import Kind, measured, to_train_on
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.places import LEARNED, PlacesEncoder
from sensemble_train.models.pretrained.sources import LARGE, side

_FRAMES = 4  # of a film, where nothing else is said
_SAMPLED, _MEASURED = 64, 4  # examples that may be images; whose size is measured
_SIDES = 32, 48, 64  # pixels of the shorter side, without a pretrained encoder
_PLAIN = 1e-4  # of the range: the least deviation of one channel's pixels
_AT_ONCE = 8  # clips whose colours change together
_GREY = 0.299, 0.587, 0.114  # luminance (ITU-R BT.601)
_YIQ = torch.tensor([_GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
_RGB = torch.linalg.inv(_YIQ)


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
        return replace(shape, side=next((side for side in _SIDES if side >= smallest), _SIDES[-1]))

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
        shown = measured(lambda example: window(example, spec), to_train_on(examples, _SAMPLED))
        pixels = np.concatenate([np.ravel(one) for one in shown])
        return replace(config, scales=((float(pixels.mean()), max(float(pixels.std()), _PLAIN)),))

    def encoder_config(self, base: EncoderConfig, spec: InputSpec, shape: ModelConfig) -> EncoderConfig:
        """Return convolutions over all places for small models, or learned positions of patches.

        Without a stem, as for masked autoencoding, a small model has 16 patches of all frames.
        """
        if not shape.fitted:
            return base
        if base.stem:
            return replace(base, sizes=LEARNED)
        _, frames, height, _, _ = spec.shape
        return replace(base, patch=height // 4, tubelet=frames)

    def encoder(self, spec: InputSpec, config: EncoderConfig) -> Encoder:
        """See `Kind`."""
        return (PlacesEncoder if config.sizes else FramesEncoder)(spec, config, _front(spec, config))

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
        """Return plain, shaded, cloudy and noisy pictures, dark to bright."""
        _, times, height, width, _ = spec.shape
        base = 255 * torch.rand(count, 3, 1, 1, generator=draw)
        cells = torch.randint(2, 7, (count,), generator=draw).tolist()
        coarse = [torch.randn(1, 3, n, n, generator=draw) for n in cells]
        clouds = torch.cat([functional.interpolate(x, (height, width), mode="bilinear") for x in coarse])
        number = torch.arange(count).view(-1, 1, 1, 1)
        depth = 60 * torch.rand(count, 1, 1, 1, generator=draw) * (number % 3 > 0)
        still = (base + depth * clouds).permute(0, 2, 3, 1)[:, None]
        grain = 40 * torch.rand(count, 1, 1, 1, 1, generator=draw) * (number[..., None] % 4 > 0)
        noise = torch.randn(count, times, height, width, 3, generator=draw)
        made = (still + grain * noise).clamp(0, 255).to(torch.uint8).contiguous()
        if not spec.channels:
            return made
        ((mean, deviation),) = encoder.scales or ((0.5, 0.25),)
        return (mean + deviation * (made[..., :1].float() / 64 - 2)).clamp(0, 1)


def _front(spec: InputSpec, config: EncoderConfig) -> nn.Module:
    """Return the normalization of frames [B, T, H, W, C] to float32 [B * T, C, H, W]."""
    if spec.channels:
        return ScaledFrames(*(config.scales or ((0.5, 0.25),))[0])
    return RelativeFrames() if config.relative else VideoInput()


class FramesEncoder(TokenEncoder):
    """Frames [B, T, H, W, C] -> float32 [B, d], with separable space-time positions (App. D)."""

    def __init__(self, spec: InputSpec, config: EncoderConfig, front: nn.Module) -> None:
        super().__init__()
        _, frames, height, width, colours = spec.shape
        self.tubelet = min(config.tubelet, frames)
        if frames % self.tubelet:
            raise ConfigurationError(f"{frames} video frames do not divide into tubelets of {self.tubelet}")
        self.grid = frames // self.tubelet, height // config.patch, width // config.patch
        self.input = front
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


def change_frames(clips: Tensor, config: AugmentConfig) -> Tensor:
    """Return clips uint8 [B, T, H, W, 3], their colours changed by one matrix for each clip.

    App. E is read as torchvision's `ColorJitter`: brightness is a factor, contrast a factor of the distance
    from the clip's mean grey, saturation of that from each pixel's grey; hue turns the colour circle, here
    that of YIQ.
    """
    limits = torch.tensor(
        [config.brightness, config.contrast, config.saturation, config.hue], device=clips.device
    )
    changes = limits * (2 * torch.rand(len(clips), 4, device=clips.device) - 1)
    light, spread, vivid = (1 + changes[:, :3]).unbind(1)
    angle = 2 * math.pi * changes[:, 3]
    turn = changes.new_zeros(len(clips), 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = vivid * angle.cos()
    turn[:, 2, 1] = vivid * angle.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    colours = (light * spread).view(-1, 1, 1) * (_RGB.to(clips.device) @ turn @ _YIQ.to(clips.device))
    grey = torch.tensor(_GREY, device=clips.device)
    away = light * (1 - spread)
    changed = torch.empty_like(clips)
    for some in torch.arange(len(clips)).split(_AT_ONCE):  # which stay in a processor's cache
        pixels = clips[some].flatten(1, 3).float()
        shift = away[some, None] * (pixels.mean(dim=1) @ grey)[:, None]
        turned = torch.baddbmm(shift[:, None], pixels, colours[some].mT)
        changed[some] = turned.round_().clamp_(0, 255).view(clips[some].shape).to(torch.uint8)
    return changed


def warp(clips: Tensor, most: float) -> Tensor:
    """Return clips [B, T, H, W, C] seen from elsewhere: moved, turned, stretched and slanted; edges repeat.

    Each number of the affine map from places to places, in half sides, changes by up to `most`.
    """
    count, times, height, width, channels = clips.shape
    x = clips.permute(0, 1, 4, 2, 3).reshape(count, -1, height, width).float()
    same = torch.eye(2, 3, device=x.device)
    places = same + most * (2 * torch.rand(count, 2, 3, device=x.device) - 1)
    grid = functional.affine_grid(places, [count, 1, height, width], align_corners=False)
    moved = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    if clips.dtype == torch.uint8:
        moved = moved.round()
    shape = count, times, channels, height, width
    return moved.view(shape).permute(0, 1, 3, 4, 2).to(clips.dtype).contiguous()


def change_levels(x: Tensor, config: AugmentConfig, mean: float, deviation: float) -> Tensor:
    """Return pictures of one channel, float32 [B, T, H, W, 1], with another gain, offset and noise each."""
    size = (len(x), 1, 1, 1, 1)
    gain = (config.gain * torch.randn(size, device=x.device)).exp()
    strength = config.grain * deviation * torch.rand(size, device=x.device)
    noise = torch.randn_like(x) + torch.randn(size, device=x.device)
    return mean + gain * (x - mean) + strength * noise
