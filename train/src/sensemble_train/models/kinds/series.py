"""Series: rows of several channels, brought to a common scale and read by convolutions.

In training they change at random: other mounts, paces, gains and noises.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_sensors.kinds.excerpt import LONGEST, LONGEST_ROWS
from sensemble_sensors.kinds.resampling import Rows, Times
from sensemble_sensors.kinds.series_files import read_series
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec, Modality, vectors
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn
from torch.nn import functional

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import Encoder, EncoderConfig, scaled
from sensemble_train.models.frontend import OUTLIER, Motion
from sensemble_train.models.kinds.kind import Kind, between, measured, to_train_on
from sensemble_train.models.model_config import ModelConfig

_MEASURED = 256  # examples by which length and scale are measured
_SHORTEST = 0.02  # seconds of a hop
_LEAST = 1e-30  # of a deviation: float32 cannot divide by much less
_PIECES = 32  # of a window behind the first convolution, about
_STEM = (48, 96)  # channels between the convolutions
_WITHOUT = 0.5  # share of the windows of training that lack the summary
_NEAR, _FAR = 7, 5  # steps that the first one sees, at least, and the others


class Series(Kind):
    """Measurements: float32 [B, T, C] at the dataset's rate."""

    name = "series"

    def fit(
        self, shape: ModelConfig, modality: Modality, examples: Sequence[Example], source: str
    ) -> ModelConfig:
        """Return the longest of the examples as the window, within bounds."""
        del source
        if not (modality.rate and modality.channels):
            raise ConfigurationError(
                f"modalities.json: {modality.name}: a series needs its rate (rows a second) and its channels"
            )
        if not shape.fitted:
            return shape

        def steps(example: Example) -> int:
            times, rows = _read(example, modality)
            begin, last = (
                (0.0, len(rows) / modality.rate)
                if times is None
                else (times[0], times[-1] + 1 / modality.rate)
            )
            begin, last = max(begin, example.start or begin), min(last, example.end or last)
            return max(1, round((last - begin) * modality.rate))

        longest = max(measured(steps, to_train_on(examples, _MEASURED)), default=1)
        most = max(LONGEST_ROWS, round(LONGEST * modality.rate))
        return replace(shape, seconds=min(longest, most) / modality.rate)

    def spec(self, modality: Modality, shape: ModelConfig, hop: float) -> InputSpec:
        """Return float32 [1, T, C]."""
        name, kind, rate, channels = modality.name, modality.kind, modality.rate, modality.channels
        steps = max(1, round(shape.seconds * rate))
        window = steps / rate if rate else shape.seconds
        hop = min(hop, max(window / 2, _SHORTEST))
        size = (1, steps, len(channels))
        return InputSpec(name, "float32", size, rate, window, hop, 2 * window, kind, channels)

    def encoder_config(self, base: EncoderConfig, spec: InputSpec, shape: ModelConfig) -> EncoderConfig:
        """Return the convolutions' sizes, and the vectors among the channels."""
        del shape
        stride = max(1, round(spec.shape[1] / _PIECES))
        return replace(
            base, depth=0, stem=_STEM, patch=stride, clip=False, vectors=tuple(vectors(spec.channels))
        )

    def fit_scale(self, config: EncoderConfig, spec: InputSpec, examples: Sequence[Example]) -> EncoderConfig:
        """Return the mean and the deviation of each channel over examples to train on."""
        modality = Modality(spec.modality, spec.kind, spec.rate, spec.channels)
        sums = np.zeros((3, len(spec.channels)))
        for sums_of in measured(
            lambda example: _sums(_read(example, modality)[1]), to_train_on(examples, _MEASURED)
        ):
            sums += sums_of
        count = np.maximum(sums[0], 1)
        mean = sums[1] / count
        deviation = np.sqrt(np.maximum(sums[2] / count - mean**2, 0))
        least = np.maximum(1e-6 * np.abs(mean), _LEAST)  # a constant has less
        deviation = np.where(deviation > least, deviation, 1.0)
        return replace(config, scales=tuple(zip(mean.tolist(), deviation.tolist(), strict=True)))

    def encoder(self, spec: InputSpec, config: EncoderConfig) -> "SeriesEncoder":
        """See `Kind`."""
        return SeriesEncoder(spec, config)

    def augment(
        self, features: Tensor, config: AugmentConfig, encoder: EncoderConfig, tokenizer: Tokenizer | None
    ) -> Tensor:
        """Turn vectors; change pace, place in time, gain, noise (by the scales of `encoder`); lose rows."""
        del tokenizer
        x = features
        if config.turn:
            x = turn(x, config.turn, encoder.vectors)
        if config.pace or config.shift:
            x = warp(x, config.pace, config.shift)
        count, _, channels = x.shape
        if config.gain:
            x = x * (config.gain * torch.randn(count, 1, 1, device=x.device)).exp()
        if config.grain and encoder.scales:
            deviations = x.new_tensor([deviation for _, deviation in encoder.scales])
            # From a thousandth on, for what is faint says something too: of a gyroscope, how a body rests.
            strength = config.grain * 10 ** (-3 * torch.rand(count, 1, 1, device=x.device))
            bias = torch.randn(count, 1, channels, device=x.device)
            x = x + strength * deviations * (torch.randn_like(x) + bias)
        return lose(x, config.gaps) if config.gaps else x

    def backgrounds(self, spec: InputSpec, encoder: EncoderConfig, count: int, draw: Generator) -> Tensor:
        """Return noises, walks and hums of unrelated channels, at least as strong as the data."""
        steps, scales = spec.shape[1], encoder.scales or ((0.0, 1.0),) * spec.shape[2]
        mean, deviation = torch.tensor(scales).T
        size = count, steps, len(mean)
        white = torch.randn(size, generator=draw)
        walk = torch.randn(size, generator=draw).cumsum(dim=1) / math.sqrt(steps)
        turns = between(count * len(mean), 0.5, max(1.0, steps / 4), draw).view(count, 1, -1)
        phase = 2 * math.pi * torch.rand(count, 1, len(mean), generator=draw)
        hum = torch.sin(2 * math.pi * turns * torch.arange(steps).view(1, -1, 1) / steps + phase)
        sort = (torch.arange(count) % 3).view(-1, 1, 1)
        strength = between(count * len(mean), math.log(0.5), math.log(4), draw).exp().view(count, 1, -1)
        made = torch.where(sort == 0, white, torch.where(sort == 1, 2 * walk, 1.4 * hum))
        offset = torch.randn(count, 1, len(mean), generator=draw)
        rows: Tensor = mean + deviation * (strength * made + offset)
        return rows


class SeriesEncoder(Encoder):
    """float32 [B, T, C] -> float32 [B, d]: convolutions over time, their mean and maximum, and a summary.

    An activity may fill the window or be a moment of it. One layer reads all of that; the BatchNorm behind it
    is that of `Trunk`. In training, half of the windows lack the summary: what a few people's spectra have in
    common is learned sooner than how they move, and says less of others.
    """

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        _, steps, channels = spec.shape
        self.motion = Motion(steps, config.scales or ((0.0, 1.0),) * channels, config.vectors)
        first, *others = pairwise((self.motion.signals, *config.stem, config.width))
        layers = _layer(*first, max(_NEAR, 2 * config.patch + 1), config.patch)
        for before, after in others:
            layers += _layer(before, after, _FAR, 2)
        self.stem = nn.Sequential(*layers)
        inputs = 2 * config.width + self.motion.summed * self.motion.size
        self.project = nn.Linear(inputs, config.embedding, bias=False)
        self.spread = nn.BatchNorm1d(config.embedding, affine=False)
        self.standard = Standard(self.motion.summed * self.motion.size)
        self.length = config.length

    def encode(self, features: Tensor) -> Tensor:
        """See `Encoder`."""
        signals, summary = self.motion(features)
        batch, count, steps = signals.shape
        pieces = self.stem(signals.reshape(batch, count, 1, steps))
        # XNNPACK takes no maximum of one piece.
        most = functional.max_pool2d(pieces, (1, pieces.shape[3])) if pieces.shape[3] > 1 else pieces
        mean = pieces.mean(dim=(2, 3), keepdim=True)
        summary = self.standard(summary.flatten(1))
        if self.training:
            summary = summary * (torch.rand(batch, 1, device=summary.device) >= _WITHOUT)
        read = torch.cat([mean.flatten(1), most.flatten(1), summary], dim=1)
        return scaled(self.spread(self.project(read)), self.length)


class Standard(nn.Module):
    """Numbers [B, N] by their mean and deviation over the data, outliers cut.

    Steps of equal size then teach each of them equally soon, however little it varies.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, N] to [B, N]."""
        if self.training:
            return self.norm(x).clamp(-OUTLIER, OUTLIER)  # type: ignore[no-any-return]
        # XNNPACK has no batch norm without a layer before it.
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None  # noqa: S101 - tracked, as by default
        assert variance is not None  # noqa: S101
        return ((x - mean) * torch.rsqrt(variance + self.norm.eps)).clamp(-OUTLIER, OUTLIER)


def _layer(before: int, after: int, seen: int, stride: int) -> list[nn.Module]:
    size, side = (1, seen), (0, seen // 2)
    return [
        nn.Conv2d(before, after, size, stride=(1, stride), padding=side, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]


def _read(example: Example, modality: Modality) -> tuple[Times | None, Rows]:
    path = example.value(modality.name)
    assert isinstance(path, Path)  # noqa: S101 - the example has the modality
    return read_series(path, [channel.name for channel in modality.channels])


def _sums(rows: Rows) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    return np.stack([np.full(wide.shape[1], float(len(wide))), wide.sum(axis=0), (wide**2).sum(axis=0)])


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


def lose(x: Tensor, share: float) -> Tensor:
    """Lose a run of up to half of the rows in a `share` of examples [B, T, C]; the row before is repeated."""
    count, steps, channels = x.shape
    start, length = (torch.rand(count, 1, device=x.device) * most for most in (steps, steps / 2))
    length = length * (torch.rand(count, 1, device=x.device) < share)
    rows = torch.arange(steps, device=x.device).expand(count, steps)
    rows = torch.where((rows > start) & (rows < start + length), start.long(), rows)
    return x.gather(1, rows.unsqueeze(2).expand(count, steps, channels))


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
