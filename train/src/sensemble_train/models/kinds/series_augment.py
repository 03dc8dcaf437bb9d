"""Random changes of series: other mounts, paces, gains and noises."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import EncoderConfig


def change_series(rows: Tensor, config: AugmentConfig, encoder: EncoderConfig) -> Tensor:
    """Return rows float32 [B, T, C] changed as `config` says, relative to the scales of `encoder`."""
    x = rows
    if config.turn:
        x = turn(x, config.turn, encoder.vectors)
    if config.pace or config.shift:
        x = warp(x, config.pace, config.shift)
    count, _, channels = x.shape
    if config.gain:
        x = x * (config.gain * torch.randn(count, 1, 1, device=x.device)).exp()
    if config.grain and encoder.scales:
        deviations = x.new_tensor([deviation for _, deviation in encoder.scales])
        strength = config.grain * torch.rand(count, 1, 1, device=x.device)
        bias = torch.randn(count, 1, channels, device=x.device)
        x = x + strength * deviations * (torch.randn_like(x) + bias)
    return x


def turn(x: Tensor, most: float, vectors: tuple[tuple[int, int, int], ...]) -> Tensor:
    """Turn all vectors of an example alike, by up to `most` degrees about any axis: another mount."""
    if not vectors:
        return x
    axis = functional.normalize(torch.randn(len(x), 3, device=x.device), dim=1)
    angle = math.radians(most) * torch.rand(len(x), 1, 1, device=x.device)
    zero = torch.zeros_like(axis[:, 0])
    a, b, c = axis.unbind(1)
    cross = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=1).view(-1, 3, 3)
    matrix = torch.eye(3, device=x.device) + angle.sin() * cross + (1 - angle.cos()) * cross @ cross
    turned = x.clone()
    for places in vectors:
        turned[:, :, list(places)] = x[:, :, list(places)] @ matrix.transpose(1, 2)
    return turned


def warp(x: Tensor, pace: float, shift: float) -> Tensor:
    """Stretch and move each example [B, T, C] in time; its ends are held.

    `pace` is the largest stretch, as a logarithm; `shift` the largest move, in halves of the window.
    """
    scale, move = ((2 * torch.rand(len(x), 1, device=x.device) - 1) * most for most in (pace, shift))
    places = scale.exp() * torch.linspace(-1, 1, x.shape[1], device=x.device) + move
    grid = torch.stack([places, torch.zeros_like(places)], dim=2)[:, None]
    image = x.transpose(1, 2)[:, :, None]
    warped = functional.grid_sample(image, grid, align_corners=True, padding_mode="border")
    return warped[:, :, 0].transpose(1, 2)
