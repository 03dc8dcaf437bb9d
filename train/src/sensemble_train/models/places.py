"""An encoder that finds and reads what is somewhere in a picture, near or far."""

from contextlib import nullcontext

import torch
from sensemble_sensors.spec import InputSpec
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.half import half
from sensemble_train.models.encoders import Encoder, EncoderConfig, scaled

LEARNED = 1.0, 0.5
"""Scales at which a picture is read to learn from it."""
SIZES = 1.5, 1.25, 1.0, 0.75, 0.5
"""Scales at which a thing of any size is near one that was learned (`recipe.picture_sizes`)."""
_MIXED = 3  # channels beside the light: what colours and frames differ by
_FAINT = 0.01  # variance, relative to the picture's, that local contrast leaves as it is


class PlacesEncoder(Encoder):
    """Frames [B, T, H, W, C] -> float32 [B, d], by convolutions on the picture at several sizes, pooled.

    The same convolutions read every place at every size, and score it; the softmax of the scores over all
    places of all sizes weighs their mean. So a thing is read alike wherever it is and however large. They are
    learned from the picture and its half. Once trained, they may read sizes between and beyond, too, for 3.5
    times the work. A transformer on patches learns each place by itself, from many more examples.
    """

    def __init__(self, spec: InputSpec, config: EncoderConfig, front: nn.Module) -> None:
        super().__init__()
        _, frames, height, _, colours = spec.shape
        self.input = front
        self.channels = frames * colours
        self.mix = nn.Conv2d(self.channels, 1 + _MIXED, 1, bias=False)
        nn.init.constant_(self.mix.weight[:1], 1 / self.channels)
        self.stem = Places(height // 4 | 1, config.width)
        self.copies: nn.ModuleList | None = None  # read the sizes behind the first, if `stem` does not
        self.project = nn.Linear(config.width, config.embedding, bias=False)
        self.spread = nn.BatchNorm1d(config.embedding, affine=False)
        self.length, self.sizes = config.length, config.sizes

    def encode(self, features: Tensor) -> Tensor:
        """See `Encoder`."""
        pictures = self.input(features)
        mixed = self._mixed(pictures.reshape(-1, self.channels, *pictures.shape[2:]))
        sizes = LEARNED if self.training else self.sizes
        stems = (self.stem, *(self.copies or [self.stem] * (len(sizes) - 1)))
        found = (stem(_sized(mixed, size)) for stem, size in zip(stems, sizes, strict=True))
        read, scores = zip(*found, strict=True)
        share = torch.cat(scores, dim=2).softmax(dim=2)
        pooled = torch.bmm(torch.cat(read, dim=2), share.transpose(1, 2))
        return scaled(self.spread(self.project(pooled.flatten(1))), self.length)

    def _mixed(self, pictures: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return self.mix(pictures)  # type: ignore[no-any-return]
        # The same, to the last bit, by a product: twenty times as quick of so few channels.
        mixed: Tensor = (self.mix.weight.flatten(1) @ pictures.flatten(2)).unflatten(2, pictures.shape[2:])
        return mixed


class Places(nn.Module):
    """Convolutions: pictures [B, 4, H, W] to features [B, width, N] and scores [B, 1, N], N of H * W / 64."""

    def __init__(self, near: int, width: int) -> None:
        super().__init__()
        first = width // 8
        self.near = near
        self.net = nn.Sequential(
            *_layer(2 + _MIXED, 2 * first, size=4, stride=2),
            *_layer(2 * first, 2 * first),
            nn.MaxPool2d(2),
            *_layer(2 * first, 4 * first),
            *_layer(4 * first, 4 * first),
            nn.MaxPool2d(2),
            *_layer(4 * first, width),
        )
        self.score = nn.Conv2d(width, 1, 1)

    def forward(self, mixed: Tensor) -> tuple[Tensor, Tensor]:
        """Read the light, the first channel, by its local contrast, too: so thin lines and shadows show."""
        away = mixed[:, :1] - self._mean(mixed[:, :1])
        local = away * torch.rsqrt(self._mean(away * away) + _FAINT)
        x = torch.cat([local, mixed], dim=1)
        if not torch.compiler.is_exporting():  # twice as quick on a processor
            x = x.contiguous(memory_format=torch.channels_last)
        with half(x.device) if self.training else nullcontext():  # and once more
            features = self.net(x).float()
        return features.flatten(2), self.score(features).flatten(2)

    def _mean(self, x: Tensor) -> Tensor:
        """Return the mean of what is near each place; rows, then columns: a fifth of the work."""
        if not torch.compiler.is_exporting():  # the same by products: ten times as quick to learn from
            rows, columns = (self._shares(size, x) for size in x.shape[2:])
            return rows @ x @ columns.T
        for size in ((self.near, 1), (1, self.near)):
            x = functional.avg_pool2d(x, size, 1, (size[0] // 2, size[1] // 2), count_include_pad=False)
        return x

    def _shares(self, size: int, like: Tensor) -> Tensor:
        place = torch.arange(size, device=like.device)
        near = ((place[:, None] - place).abs() <= self.near // 2).to(like.dtype)
        return near / near.sum(dim=1, keepdim=True)


def _sized(pictures: Tensor, size: float) -> Tensor:
    """Return pictures [B, C, H, W] `size` times as large."""
    if size == 1:
        return pictures
    sides = [round(size * side) for side in pictures.shape[2:]]
    return functional.interpolate(pictures, sides, mode="bilinear")


def _layer(before: int, after: int, size: int = 3, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, size, stride, padding=1, bias=False)
    # The batch norm hides the weights' scale; a third of it learns three times as fast.
    convolution.weight.data /= 3
    return convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)
