"""Random changes of the view, the light and the colours of frames, alike in all frames of a clip."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from sensemble_train.models.augment_config import AugmentConfig

_GREY = 0.299, 0.587, 0.114  # luminance (ITU-R BT.601)
_YIQ = torch.tensor([_GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
_RGB = torch.linalg.inv(_YIQ)


def change_frames(clips: Tensor, config: AugmentConfig) -> Tensor:
    """Return clips uint8 [B, T, H, W, 3] changed as `config` says."""
    x = clips.permute(0, 1, 4, 2, 3).float()
    x = jitter(x, config.brightness, config.contrast, config.saturation, config.hue)
    return x.round().clamp(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2).contiguous()


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


def jitter(x: Tensor, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Change colours by one matrix for each clip, float32 [B, T, 3, H, W] from 0 to 255.

    App. E is read as torchvision's `ColorJitter`: brightness is a factor, contrast a factor of the distance
    from the clip's mean grey, saturation of that from each pixel's grey; hue turns the colour circle, here
    that of YIQ.
    """
    limits = torch.tensor([brightness, contrast, saturation, hue], device=x.device)
    changes = limits * (2 * torch.rand(len(x), 4, device=x.device) - 1)
    light, spread, vivid = (1 + changes[:, :3]).unbind(1)
    angle = 2 * math.pi * changes[:, 3]
    turn = x.new_zeros(len(x), 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = vivid * angle.cos()
    turn[:, 2, 1] = vivid * angle.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    matrix = _RGB.to(x.device) @ turn @ _YIQ.to(x.device)
    colours = torch.tensor(_GREY, device=x.device)
    grey = torch.einsum("btchw,c->b", x, colours) / (x[:, :, 0].numel() / len(x))
    turned = torch.einsum("bdc,btchw->btdhw", (light * spread).view(-1, 1, 1) * matrix, x)
    return turned + (light * (1 - spread) * grey).view(-1, 1, 1, 1, 1)
