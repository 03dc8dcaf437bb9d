"""One ViT encoder per modality: raw sensor tensor in, embedding out (paper, Sec. 4.1 and App. D).

The encoders are written to be lowered (DESIGN, "One front end"): attention is spelled out with
`bmm`, every shape is static, and preprocessing is part of the module, so that training, Python and a phone
run the same graph. The stem is the patch embedding of ViT or, for small data, a stack of convolutions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from sensemble_sensors.spec import InputSpec
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.errors import ConfigurationError
from sensemble_train.frontend import MEL_BINS, LogMel, VideoInput, frames_of

AUDIO_MEAN, AUDIO_STD = -4.2677393, 4.5689974
"""Mean and standard deviation of AudioSet's log-mel (paper, Table 6)."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The shape of one encoder.

    Attributes:
        width: width of the transformer.
        depth: number of transformer blocks.
        heads: attention heads; divides `width`.
        embedding: size d of the embedding.
        stem: output channels of the stem's convolutions before the last one; empty for plain patches.
        patch: side of a patch in pixels, or in frames x mel bins; with a stem, the product of its strides,
            of which all but the first are 2.
        tubelet: video frames that share one token.
        vocabulary: number of token ids, for text.
        activation: of the blocks' perceptrons.
        drop_path: largest rate of stochastic depth (App. E).
    """

    width: int
    depth: int
    heads: int
    embedding: int
    stem: tuple[int, ...] = ()
    patch: int = 16
    tubelet: int = 1
    vocabulary: int = 0
    activation: Literal["relu", "gelu"] = "gelu"
    drop_path: float = 0.0


class Attention(nn.Module):
    """Multi-head self-attention, spelled out as scale, q k^T, softmax and v."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend over x [B, N, width]; `bias` [B, 1, 1, N] is added to the scores."""
        batch, count, width = x.shape
        qkv = self.qkv(x).reshape(batch, count, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        # Slices of whole heads, for XNNPACK takes slices and no selections; nor expansions, for the bias.
        rows = batch * self.heads
        qkv = qkv.reshape(3 * rows, count, self.size)
        q, k, v = qkv[:rows], qkv[rows : 2 * rows], qkv[2 * rows :]
        scores = torch.bmm(q * self.size**-0.5, k.transpose(1, 2))
        if bias is not None:
            scores = (scores.view(batch, self.heads, count, count) + bias).view(-1, count, count)
        mixed = torch.bmm(scores.softmax(dim=-1), v)
        mixed = mixed.reshape(batch, self.heads, count, self.size).permute(0, 2, 1, 3)
        return self.out(mixed.reshape(batch, count, width))  # type: ignore[no-any-return]


ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


class Block(nn.Module):
    """A pre-norm transformer block with stochastic depth (App. E)."""

    def __init__(self, config: EncoderConfig, drop_path: float) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, config.heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), ACTIVATIONS[config.activation](), nn.Linear(4 * width, width)
        )
        self.drop_path = drop_path

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Map x [B, N, width] to the same shape."""
        x = x + self._drop(self.attention(self.norm1(x), bias))
        return x + self._drop(self.mlp(self.norm2(x)))

    def _drop(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0.0:
            return branch
        keep = 1.0 - self.drop_path
        mask = torch.bernoulli(torch.full((branch.shape[0], 1, 1), keep, device=branch.device))
        return branch * mask / keep


class Trunk(nn.Module):
    """Transformer blocks, mean over the tokens, projection, BatchNorm without affine, L2 normalization.

    The BatchNorm takes away what all embeddings of a modality share. What classes differ by starts out small
    beside it, and without the BatchNorm a few thousand triples teach the encoders for hundreds of steps to
    tell people apart and nothing else. It also keeps the modalities centred on each other, so that a head
    learned on one can read another; in the exported graph it is part of the projection. The embedding has
    unit length so that no modality outweighs another in the pooled mean (Eq. 7).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        rates = [config.drop_path * i / max(1, config.depth - 1) for i in range(config.depth)]
        self.blocks = nn.ModuleList(Block(config, rate) for rate in rates)
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, config.embedding, bias=False)
        self.spread = nn.BatchNorm1d(config.embedding, affine=False)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map tokens [B, N, width] to embeddings [B, d]; `keep` float [B, N] is 1 for tokens that count."""
        bias = None
        if keep is not None:
            bias = ((keep - 1.0) * 1e4).view(keep.shape[0], 1, 1, keep.shape[1])
        for block in self.blocks:
            x = block(x, bias)
        x = self.norm(x)
        if keep is None:
            # XNNPACK takes a mean over the last two of four dimensions only.
            x = (
                x.transpose(1, 2)
                .reshape(*x.shape[::2], -1, 1)
                .mean(dim=(2, 3), keepdim=True)
                .view(x.shape[0], -1)
            )
        else:
            batch, count = keep.shape
            keep = keep.view(batch, 1, count)
            # An empty caption has no token that counts; its embedding is arbitrary, but a number.
            average = keep / torch.bmm(keep, keep.view(batch, count, 1)).clamp(min=1)
            x = torch.bmm(average, x).view(batch, -1)
        x = self.spread(self.project(x))
        size = x.shape[1]
        square = torch.bmm(x.view(-1, 1, size), x.view(-1, size, 1)).view(
            -1, 1
        )  # XNNPACK has products, and no sum
        return x * torch.rsqrt(square + 1e-12)


class Patches(nn.Module):
    """Images [B, C, H, W] to feature maps [B, width, H / size, W / size], one product for each patch.

    The same as a convolution whose stride is its kernel, which PyTorch trains ten times slower on a CPU.
    """

    def __init__(self, channels: int, width: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.project = nn.Linear(channels * size * size, width)

    def forward(self, images: Tensor) -> Tensor:
        """Project every patch."""
        batch, channels, height, width = images.shape
        rows, columns = height // self.size, width // self.size
        patches = images.reshape(batch, channels, rows, self.size, columns, self.size).permute(
            0, 2, 4, 1, 3, 5
        )
        projected = self.project(patches.reshape(batch, rows * columns, -1))
        return projected.transpose(1, 2).reshape(batch, -1, rows, columns)  # type: ignore[no-any-return]


def _stem(channels: int, config: EncoderConfig) -> nn.Module:
    """Make the module from images [B, channels, H, W] to feature maps [B, width, H / patch, W / patch]."""
    first, *rest = (*config.stem, config.width)
    layers: list[nn.Module] = [Patches(channels, first, config.patch >> len(rest))]
    for before, after in pairwise((first, *rest)):
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, after, 3, stride=2, padding=1)]
    return nn.Sequential(*layers)


def _tokens(features: Tensor) -> Tensor:
    """Flatten feature maps [B, C, H, W] to tokens [B, H * W, C]."""
    return features.flatten(2).transpose(1, 2)


class Encoder(nn.Module, ABC):
    """What the three encoders share: a front end without parameters, then all that is learned.

    The front end's output is the same for a window every time, so training on data that fits in memory
    computes it once; the exported graph holds both.
    """

    def front(self, raw: Tensor) -> Tensor:
        """Turn the sensor's tensor into features; nothing here is learned."""
        return raw

    @abstractmethod
    def encode(self, features: Tensor) -> Tensor:
        """Turn features into embeddings float32 [B, d] of unit length."""

    def forward(self, raw: Tensor) -> Tensor:
        """Map the sensor's tensor [B, ...] to embeddings [B, d]."""
        return self.encode(self.front(raw))


class AudioEncoder(Encoder):
    """float32 [B, S] in [-1, 1] at 16 kHz -> float32 [B, d]."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        frames = frames_of(spec.shape[1])
        self.padding = -frames % config.patch
        self.log_mel = LogMel()
        self.stem = _stem(1, config)
        count = (frames + self.padding) // config.patch * (MEL_BINS // config.patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, count, config.width))
        self.trunk = Trunk(config)

    def front(self, raw: Tensor) -> Tensor:
        """Normalized log-mel, padded to whole patches: [B, 1, frames, 128]."""
        image = (self.log_mel(raw) - AUDIO_MEAN) / (2 * AUDIO_STD)
        return functional.pad(image.view(-1, 1, *image.shape[1:]), (0, 0, 0, self.padding))

    def encode(self, features: Tensor) -> Tensor:
        """Map log-mel images to embeddings."""
        return self.trunk(_tokens(self.stem(features)) + self.position)  # type: ignore[no-any-return]


class VideoEncoder(Encoder):
    """uint8 [B, T, H, W, 3] RGB -> float32 [B, d], with separable space-time positions (App. D)."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        _, frames, height, width, _ = spec.shape
        self.tubelet = min(config.tubelet, frames)
        if frames % self.tubelet:
            raise ConfigurationError(f"{frames} video frames do not divide into tubelets of {self.tubelet}")
        self.times = frames // self.tubelet
        self.input = VideoInput()
        self.stem = _stem(3 * self.tubelet, config)
        places = (height // config.patch) * (width // config.patch)
        self.space = nn.Parameter(0.02 * torch.randn(1, 1, places, config.width))
        self.time = nn.Parameter(0.02 * torch.randn(1, self.times, 1, config.width))
        self.trunk = Trunk(config)

    def encode(self, features: Tensor) -> Tensor:
        """Map clips, which are smaller as bytes than normalized, to embeddings."""
        batch = features.shape[0]
        images = self.input(features)
        images = images.reshape(batch * self.times, 3 * self.tubelet, *images.shape[2:])
        tokens = _tokens(self.stem(images))
        tokens = tokens.reshape(batch, self.times, *tokens.shape[1:]) + (self.space + self.time)
        return self.trunk(tokens.flatten(1, 2))  # type: ignore[no-any-return]


class TextEncoder(Encoder):
    """int64 [B, L] token ids, 0 for padding -> float32 [B, d]."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        self.token = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.token.weight, std=0.02)
        self.position = nn.Parameter(0.02 * torch.randn(1, spec.shape[1], config.width))
        self.trunk = Trunk(config)

    def encode(self, features: Tensor) -> Tensor:
        """Map token ids to embeddings."""
        keep = features.clamp(0, 1).to(torch.float32)
        return self.trunk(self.token(features) + self.position, keep)  # type: ignore[no-any-return]


ENCODERS: dict[str, Callable[[InputSpec, EncoderConfig], Encoder]] = {
    "audio": AudioEncoder,
    "text": TextEncoder,
    "video": VideoEncoder,
}
