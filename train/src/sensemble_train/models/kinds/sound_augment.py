"""Random changes of sound: other voices, microphones, rooms and noises.

All are made on mel energies [B, 1, frames, bins] instead of on waves. Energies of independent sounds add, a
filter multiplies bins, a longer vocal tract stretches the mel axis: a few passes over small images for the
whole batch. A gain would change nothing, because derived presets are independent of the level.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.transforms import FrequencyMasking, TimeMasking

from sensemble_train.models.augment_config import AugmentConfig

_POINTS = 6  # of an equalizer's curve, between which it is linear
_NOISE = 10.0, 40.0  # dB between the sound's mean energy and that of added noise
_BABBLE = 5.0, 25.0  # dB between the sound's mean energy and that of other voices
_SLOPE = 4.0  # largest fall or rise of noise over all bins, in units of the natural logarithm: brown to blue
_LOW, _HIGH = 0.19, 0.69  # the telephone's 300 and 3,400 Hz, as shares of the mel axis
_DECAY = 0.05, 0.5  # seconds in which the energy of a room's echo falls by 60 dB
_PER_SECOND = 100  # frames
_NOTHING = 1e-20  # least energy to divide by: an example may be silent


def change_sound(energies: Tensor, config: AugmentConfig) -> Tensor:
    """Return mel energies float32 [B, 1, frames, bins], at least 0, changed as `config` says."""
    x = energies
    if config.voice or config.pace or config.shift:
        x = resample(x, config.voice, config.pace, config.shift)
    if config.echo:
        x = reverberate(x, config.echo)
    if config.tilt or config.band:
        x = x * equalizer(x, config.tilt, config.band)
    if config.babble:
        x = add_babble(x, config.babble)
    if config.noise:
        x = add_noise(x, config.noise)
    return x


def resample(x: Tensor, voice: float, pace: float, shift: float) -> Tensor:
    """Stretch and move each example along both axes; energy comes in from nowhere.

    Args:
        x: energies.
        voice: largest relative stretch of the mel axis, and move of it as a share of half its length: vocal
            tracts of other lengths (Jaitly and Hinton, 2013), on the mel scale.
        pace: largest relative stretch of time, as a logarithm.
        shift: largest move in time, as a share of half the window.
    """
    across = _stretched(x.shape[3], (voice * _signed(x)).exp(), voice * _signed(x))
    along = _stretched(x.shape[2], (pace * _signed(x)).exp(), shift * _signed(x))
    # What `affine_grid` makes, in a third of its time: the two axes do not depend on each other.
    places = across[:, None], along[:, :, None]
    grid = torch.stack([place.expand(len(x), *x.shape[2:]) for place in places], dim=3)
    return functional.grid_sample(x, grid, align_corners=False)


def _stretched(count: int, scale: Tensor, move: Tensor) -> Tensor:
    """Return where `count` cells of an axis from -1 to 1 are read, [B, count]; scale and move are [B]."""
    centres = (2 * torch.arange(count, device=scale.device) + 1) / count - 1
    return scale[:, None] * centres + move[:, None]


def reverberate(x: Tensor, strength: float) -> Tensor:
    """Add a room's decaying echo of at most `strength` times the energy of the direct sound."""
    frames = x.shape[2]
    seconds = _DECAY[0] + (_DECAY[1] - _DECAY[0]) * torch.rand(len(x), 1, device=x.device)
    after = torch.arange(frames, device=x.device)
    decay = torch.exp(-6 * math.log(10) / _PER_SECOND * after / seconds)
    decay[:, 0] = 0
    decay = decay * (strength * torch.rand_like(seconds) / decay.sum(dim=1, keepdim=True).clamp(min=1e-6))
    decay[:, 0] = 1
    lag = after[:, None] - after
    return torch.bmm(torch.where(lag < 0, 0.0, decay[:, lag.clamp(min=0)]), x[:, 0])[:, None]


def equalizer(x: Tensor, tilt: float, band: float) -> Tensor:
    """Return the gains of energies [B, 1, 1, bins] of random microphones.

    Args:
        x: energies, for their shape.
        tilt: standard deviation of the curve's points, in dB.
        band: share of the examples that only pass a telephone's band.
    """
    batch, _, _, bins = x.shape
    points = tilt * math.log(10) / 10 * torch.randn(batch, 1, _POINTS, device=x.device)
    gains = functional.interpolate(points, size=bins, mode="linear", align_corners=True).exp()
    place = torch.linspace(0, bins, bins, device=x.device)
    edges = torch.rand(2, batch, 1, 1, device=x.device)
    low, high = bins * _LOW * edges[0], bins * (_HIGH + (1 - _HIGH) * edges[1])
    passed = torch.sigmoid(place - low) * torch.sigmoid(high - place)
    chosen = torch.rand(batch, 1, 1, device=x.device) < band
    return (gains * torch.where(chosen, passed, 1.0))[:, :, None]


def add_babble(x: Tensor, share: float) -> Tensor:
    """Add the sounds of two others of the batch to a share of the examples."""
    start = int(torch.randint(x.shape[2], ()))
    others = x[torch.randperm(len(x), device=x.device)].roll(start, 2)
    return x + _scaled(others + x[torch.randperm(len(x), device=x.device)], x, share, _BABBLE)


def add_noise(x: Tensor, share: float) -> Tensor:
    """Add noise of a random colour to a share of the examples.

    An energy of Gaussian noise is distributed exponentially.
    """
    slope = _SLOPE * _signed(x).view(-1, 1, 1, 1)
    colour = (slope * torch.linspace(-1, 1, x.shape[3], device=x.device) / 2).exp()
    noise = colour * -torch.log1p(-torch.rand_like(x))  # `exponential_` takes five times as long on a CPU
    return x + _scaled(noise, x, share, _NOISE)


def hide(x: Tensor, time: int, bins: int) -> Tensor:
    """Hide one span of time and one of mel bins in each example (SpecAugment; Park et al., 2019).

    Args:
        x: energies, or a normalized log-mel; float32 [B, 1, frames, bins]. Hidden values become 0.
        time: frames that the first span is shorter than; 0 hides none.
        bins: mel bins that the second span is shorter than; 0 hides none.
    """
    x = x.transpose(2, 3)
    if time:
        x = TimeMasking(time, iid_masks=True)(x)
    if bins:
        x = FrequencyMasking(bins, iid_masks=True)(x)
    return x.transpose(2, 3)


def _scaled(added: Tensor, x: Tensor, share: float, decibels: tuple[float, float]) -> Tensor:
    """Scale what a share of the examples gets to a random energy below their own, and the rest to 0."""
    low, high = decibels
    below = low + (high - low) * torch.rand(len(x), 1, 1, 1, device=x.device)
    chosen = torch.rand(len(x), 1, 1, 1, device=x.device) < share
    ratio = _mean(x) / _mean(added).clamp(min=_NOTHING)
    return added * torch.where(chosen, ratio * 10 ** (-below / 10), 0.0)


def _mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True)


def _signed(x: Tensor) -> Tensor:
    """Return a number from -1 to 1 for each example, [B]."""
    return 2 * torch.rand(len(x), device=x.device) - 1
