"""Random changes of raw sound, for encoders that hear waves: other paces, places in time, microphones, noise.

What `sound_augment` does to mel energies; a change of pace moves the pitch, too, as of another voice.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from sensemble_train.models.augment_config import AugmentConfig

_POINTS = 6  # of an equalizer's curve, between which it is linear
_NOISE = 10.0, 40.0  # dB between the sound's energy and that of added noise
_SLOPE = 4.0  # largest fall or rise of noise over all frequencies, in units of the natural logarithm


def change_waves(waves: Tensor, config: AugmentConfig) -> Tensor:
    """Return sound float32 [B, S] changed by `pace`, `shift`, `tilt` and `noise` of `config`."""
    x = waves
    if config.pace or config.shift:
        x = _stretch(x, config.pace, config.shift)
    spectrum = torch.fft.rfft(x)
    count = spectrum.shape[1]
    if config.tilt:
        points = config.tilt * math.log(10) / 20 * torch.randn(len(x), 1, _POINTS, device=x.device)
        curve = functional.interpolate(points, size=count, mode="linear", align_corners=True)
        spectrum = spectrum * curve[:, 0].exp()
    changed = torch.fft.irfft(spectrum, n=x.shape[1])
    if config.noise:
        slope = _SLOPE / 2 * _signed(x)[:, None] * torch.linspace(-1, 1, count, device=x.device)
        noise = torch.fft.irfft(torch.fft.rfft(torch.randn_like(x)) * (slope / 2).exp(), n=x.shape[1])
        low, high = _NOISE
        below = low + (high - low) * torch.rand(len(x), 1, device=x.device)
        chosen = torch.rand(len(x), 1, device=x.device) < config.noise
        scale = changed.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True) * 10 ** (-below / 20)
        changed = changed + torch.where(chosen, scale, 0.0) * noise
    clipped: Tensor = changed.clamp(-1, 1)
    return clipped


def _stretch(x: Tensor, pace: float, shift: float) -> Tensor:
    """Play each sound at another speed and move it; silence comes in.

    Args:
        pace: largest relative change of the speed, as a logarithm.
        shift: largest move in time, as a share of half the window.
    """
    count = x.shape[1]
    centres = (2 * torch.arange(count, device=x.device) + 1) / count - 1
    places = (pace * _signed(x)).exp()[:, None] * centres + shift * _signed(x)[:, None]
    grid = torch.stack([places, torch.zeros_like(places)], dim=2)[:, None]
    return functional.grid_sample(x[:, None, None], grid, align_corners=False)[:, 0, 0]


def _signed(x: Tensor) -> Tensor:
    """Return a number from -1 to 1 for each example, [B]."""
    return 2 * torch.rand(len(x), device=x.device) - 1
