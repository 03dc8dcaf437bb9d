"""An encoder that finds and reads what is somewhere in a picture, near or far."""

from contextlib import nullcontext

import torch
from sensemble_sensors.spec import InputSpec
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.half import half
from sensemble_train.models.encoders import Encoder, EncoderConfig, scaled

_MIXED = 3  # channels beside the light: what colours and frames differ by
_FAINT = 0.01  # variance, relative to the picture's, that local contrast leaves as it is


class PlacesEncoder(Encoder):
    """Frames [B, T, H, W, C] -> float32 [B, d], by convolutions on the picture and on its half, pooled.

    The same convolutions read every place at both sizes, and score it; the softmax of the scores over all
    places of both weighs their mean. So a thing is read alike wherever it is and however large. A transformer
    on patches learns each place by itself, from many more examples.
    """

    def __init__(self, spec: InputSpec, config: EncoderConfig, front: nn.Module) -> None:
        super().__init__()
        _, frames, height, _, colours = spec.shape
        self.input = front
        self.channels = frames * colours
        self.stem = Places(self.channels, height // 4 | 1, config.width)
        self.coarse: nn.Module | None = None  # reads the picture's half, if it is not `stem`
        self.project = nn.Linear(config.width, config.embedding, bias=False)
        self.spread = nn.BatchNorm1d(config.embedding, affine=False)
        self.length = config.length

    def encode(self, features: Tensor) -> Tensor:
        """See `Encoder`."""
        pictures = self.input(features)
        pictures = pictures.reshape(-1, self.channels, *pictures.shape[2:])
        coarse = self.coarse or self.stem
        read, scores = zip(self.stem(pictures), coarse(functional.avg_pool2d(pictures, 2)), strict=True)
        share = torch.cat(scores, dim=2).softmax(dim=2)
        found = torch.bmm(torch.cat(read, dim=2), share.transpose(1, 2))
        return scaled(self.spread(self.project(found.flatten(1))), self.length)


class Places(nn.Module):
    """Convolutions: pictures [B, C, H, W] to features [B, width, N] and scores [B, 1, N], N of H * W / 64."""

    def __init__(self, channels: int, near: int, width: int) -> None:
        super().__init__()
        first = width // 8
        self.near = near
        self.mix = nn.Conv2d(channels, 1 + _MIXED, 1, bias=False)
        nn.init.constant_(self.mix.weight[:1], 1 / channels)
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

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Read the light by its local contrast, too: thin lines and shadows are equally visible."""
        mixed = self._mixed(pictures)
        away = mixed[:, :1] - self._mean(mixed[:, :1])
        local = away * torch.rsqrt(self._mean(away * away) + _FAINT)
        x = torch.cat([local, mixed], dim=1)
        if not torch.compiler.is_exporting():  # twice as quick on a processor
            x = x.contiguous(memory_format=torch.channels_last)
        with half(x.device) if self.training else nullcontext():  # and once more
            features = self.net(x).float()
        return features.flatten(2), self.score(features).flatten(2)

    def _mixed(self, pictures: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return self.mix(pictures)  # type: ignore[no-any-return]
        # The same, to the last bit, by a product: twenty times as quick of so few channels.
        mixed: Tensor = (self.mix.weight.flatten(1) @ pictures.flatten(2)).unflatten(2, pictures.shape[2:])
        return mixed

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


def _layer(before: int, after: int, size: int = 3, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, size, stride, padding=1, bias=False)
    # The batch norm hides the weights' scale; a third of it learns three times as fast.
    convolution.weight.data /= 3
    return convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)
