"""Random changes of frames: other light, lenses and cameras, alike in all frames of a clip.

All but `change_frames` take clips as planes, float32 [B, T, 3, H, W] from 0 to 255.
"""

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
    if config.rotation:
        x = rotate(x, config.rotation)
    if config.blur:
        x = blur(x, config.blur)
    if config.occlusion:
        x = occlude(x, config.occlusion)
    if config.brightness or config.contrast or config.saturation or config.hue:
        x = jitter(x, config.brightness, config.contrast, config.saturation, config.hue)
    if config.grain:
        x = x + config.grain * torch.rand(len(x), 1, 1, 1, 1, device=x.device) * torch.randn_like(x)
    return x.round().clamp(0, 255).to(torch.uint8).permute(0, 1, 3, 4, 2).contiguous()


def jitter(x: Tensor, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Change colours, by one matrix for each clip.

    The numbers of App. E are read as torchvision's `ColorJitter` reads them: brightness is a factor, contrast
    a factor of the distance from the clip's mean grey, saturation one of the distance from each pixel's own
    grey, and hue a turn of the colour circle, here that of YIQ.

    Args:
        x: clips.
        brightness: largest change of the brightness.
        contrast: largest change of the contrast.
        saturation: largest change of the saturation.
        hue: largest change of the hue, as a fraction of the circle.
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


def rotate(x: Tensor, degrees: float) -> Tensor:
    """Turn each clip by at most `degrees`; the border continues outward."""
    height, width = x.shape[3:]
    angle = math.radians(degrees) * (2 * torch.rand(len(x), device=x.device) - 1)
    theta = x.new_zeros(len(x), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos()
    theta[:, 1, 0] = angle.sin() * width / height
    theta[:, 0, 1] = -angle.sin() * height / width
    planes = x.flatten(1, 2)
    grid = functional.affine_grid(theta, list(planes.shape), align_corners=False)
    turned = functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    return turned.view(x.shape)


def blur(x: Tensor, share: float) -> Tensor:
    """Average each pixel of a share of the clips with its eight neighbours, wholly or in part."""
    near = functional.avg_pool2d(x.flatten(1, 2), 3, stride=1, padding=1, count_include_pad=False).view(
        x.shape
    )
    amount = torch.rand(len(x), device=x.device) * (torch.rand(len(x), device=x.device) < share)
    return torch.lerp(x, near, amount.view(-1, 1, 1, 1, 1))


def occlude(x: Tensor, share: float) -> Tensor:
    """Cover a rectangle of each clip, of at most `share` of its area, with the clip's mean colour."""
    size = (share * torch.rand(len(x), 1, device=x.device)).sqrt()
    inside = []
    for count in x.shape[3:]:
        length = (size * count).round()
        start = (torch.rand(len(x), 1, device=x.device) * (count - length + 1)).floor()
        place = torch.arange(count, device=x.device)
        inside.append((place >= start) & (place < start + length))
    covered = inside[0][:, None, None, :, None] & inside[1][:, None, None, None, :]
    return torch.where(covered, x.mean(dim=(1, 3, 4), keepdim=True), x)
