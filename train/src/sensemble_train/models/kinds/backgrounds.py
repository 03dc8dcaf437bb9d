"""Synthetic backgrounds: raw windows [count, ...] that show nothing that any dataset is about."""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

_LEVELS = -60.0, 0.0  # dB of full scale
_TILTS = -1.0, 2.0  # how fast noise falls with frequency, in powers of it: blue, white, pink, brown
_TONES = 60.0, 6000.0  # Hz
_PARTIALS = 4
_BEATS = 12  # stretches of a window in which a sound may be on or off


def sounds(count: int, samples: int, rate: float, draw: Generator) -> Tensor:
    """Return silence, noises, tones and knocks at any level: float32 [count, samples] in [-1, 1]."""
    wave = torch.randn(count, samples, generator=draw)
    tilt = _between(count, *_TILTS, draw)[:, None]
    hertz = torch.fft.rfftfreq(samples, 1 / rate).clamp(min=20)
    noise = torch.fft.irfft(torch.fft.rfft(wave) * (hertz / 1000) ** (-tilt / 2), samples)
    time = torch.arange(samples) / rate
    low, high = (math.log(limit) for limit in _TONES)
    pitch = _between(count, low, high, draw).exp()[:, None, None]
    partial = torch.arange(1, _PARTIALS + 1)[:, None]
    strength = torch.rand(count, _PARTIALS, 1, generator=draw) ** 2 / partial
    glide = 1 + 0.5 * _between(count, -1, 1, draw)[:, None, None] * time / time[-1]
    tone = (strength * torch.sin(2 * math.pi * pitch * glide * partial * time)).sum(dim=1)
    sort = torch.arange(count) % 4
    sound = torch.where((sort % 2 == 0)[:, None], noise, tone)
    gate = functional.interpolate(
        (torch.rand(count, 1, _BEATS, generator=draw) < 0.4).float(), size=samples, mode="linear"
    )[:, 0]
    sound = torch.where((sort >= 2)[:, None], gate * sound, sound)
    sound = sound / sound.abs().amax(dim=1, keepdim=True).clamp(min=1e-6)
    quiet = 10 ** (_between(count, -90, -50, draw) / 20)[:, None] * wave / 4
    sound = 10 ** (_between(count, *_LEVELS, draw) / 20)[:, None] * sound + quiet
    sound[::10] = quiet[::10]
    sound[::20] = 0
    return sound.clamp(-1, 1)


def pictures(count: int, times: int, height: int, width: int, draw: Generator) -> Tensor:
    """Return plain, shaded, cloudy and noisy pictures, dark to bright: uint8 [count, T, H, W, 3]."""
    base = 255 * torch.rand(count, 3, 1, 1, generator=draw)
    cells = torch.randint(2, 7, (count,), generator=draw).tolist()
    clouds = torch.cat(
        [
            functional.interpolate(torch.randn(1, 3, n, n, generator=draw), (height, width), mode="bilinear")
            for n in cells
        ]
    )
    depth = 60 * torch.rand(count, 1, 1, 1, generator=draw) * (torch.arange(count) % 3 > 0).view(-1, 1, 1, 1)
    still = (base + depth * clouds).permute(0, 2, 3, 1)[:, None]
    grain = (
        40
        * torch.rand(count, 1, 1, 1, 1, generator=draw)
        * (torch.arange(count) % 4 > 0).view(-1, 1, 1, 1, 1)
    )
    noise = torch.randn(count, times, height, width, 3, generator=draw)
    return (still + grain * noise).clamp(0, 255).to(torch.uint8).contiguous()


def measurements(count: int, steps: int, scales: Sequence[tuple[float, float]], draw: Generator) -> Tensor:
    """Return noises, walks and hums, float32 [count, steps, channels], at least as strong as the data."""
    mean, deviation = torch.tensor(scales).T
    size = count, steps, len(mean)
    white = torch.randn(size, generator=draw)
    walk = torch.randn(size, generator=draw).cumsum(dim=1) / math.sqrt(steps)
    turns = _between(count * len(mean), 0.5, max(1.0, steps / 4), draw).view(count, 1, -1)
    phase = 2 * math.pi * torch.rand(count, 1, len(mean), generator=draw)
    hum = torch.sin(2 * math.pi * turns * torch.arange(steps).view(1, -1, 1) / steps + phase)
    sort = (torch.arange(count) % 3).view(-1, 1, 1)
    strength = _between(count * len(mean), math.log(0.5), math.log(4), draw).exp().view(count, 1, -1)
    made = torch.where(sort == 0, white, torch.where(sort == 1, 2 * walk, 1.4 * hum))
    offset = torch.randn(count, 1, len(mean), generator=draw)
    rows: Tensor = mean + deviation * (strength * made + offset)
    return rows


def captions(count: int, length: int, vocabulary: int, draw: Generator) -> Tensor:
    """Return random tokens, from none to a full caption: int64 [count, length]."""
    ids = torch.randint(1, vocabulary, (count, length), generator=draw)
    said = torch.randint(0, length + 1, (count, 1), generator=draw)
    return ids * (torch.arange(length) < said)


def _between(count: int, low: float, high: float, draw: Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=draw)
