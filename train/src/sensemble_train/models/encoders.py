"""One ViT encoder per modality: raw sensor tensor in, embedding out (paper, Sec. 4.1 and App. D).

Preprocessing is part of the module and every shape is static, so that training, Python and a phone run the
same graph (DESIGN, "One front end"). The stem is the patch embedding of ViT or, for small data, a stack of
convolutions; with `clip`, the encoders are those of CLIP, whose weights they take (`clip_weights`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from sensemble_sensors.spec import InputSpec
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.frontend import MEL_BINS, LogMel, VideoInput, frames_of
from sensemble_train.models.transformer import Activation, Block, Patches, sinusoids

HIDE = -1e4
"""Added to the attention score of a token that is not to be seen."""
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
        clip: what CLIP has and the plain ViT lacks: a class token in front of the patches, from which the
            embedding is read, and a LayerNorm; in text, a causal mask, and the embedding read from the
            end-of-text token, which has the largest id.
        sinusoidal: fixed positions instead of learned ones (App. D), in audio and text; those of video are
            always learned.
        project: whether a linear layer makes the embedding; without it, `embedding` is `width`.
        spread: whether a BatchNorm without affine stands before the embedding's normalization.
    """

    width: int
    depth: int
    heads: int
    embedding: int
    stem: tuple[int, ...] = ()
    patch: int = 16
    tubelet: int = 1
    vocabulary: int = 0
    activation: Activation = "gelu"
    drop_path: float = 0.0
    clip: bool = False
    sinusoidal: bool = False
    project: bool = True
    spread: bool = True


class Trunk(nn.Module):
    """Transformer blocks, one vector of all tokens, projection, BatchNorm without affine, L2 normalization.

    The BatchNorm takes away what all embeddings of a modality share. What classes differ by starts out small
    beside it, and without the BatchNorm a few thousand triples teach the encoders for hundreds of steps to
    tell people apart and nothing else. It also keeps the modalities centred on each other, so that a head
    learned on one can read another; in the exported graph it is part of the projection. The embedding has
    unit length so that no modality outweighs another in the pooled mean (Eq. 7).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        rates = [config.drop_path * i / max(1, config.depth - 1) for i in range(config.depth)]
        width, size = config.width, config.embedding
        if not config.project and size != width:
            raise ConfigurationError(
                f"--model.embedding {size}: without a projection, as in MAE, it is --model.width, {width}"
            )
        self.first = config.clip
        self.blocks = nn.ModuleList(Block(width, config.heads, config.activation, rate) for rate in rates)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, size, bias=False) if config.project else nn.Identity()
        self.spread = nn.BatchNorm1d(size, affine=False) if config.spread else nn.Identity()

    def forward(self, x: Tensor, bias: Tensor | None = None, share: Tensor | None = None) -> Tensor:
        """Map tokens to embeddings.

        Args:
            x: float32 [B, N, width].
            bias: added to the attention scores, [B, 1, 1, N] or [1, 1, N, N].
            share: float32 [B, 1, N], what each token contributes to the vector that becomes the embedding;
                without it, that is the class token where there is one, and else the mean.

        Returns:
            float32 [B, d].
        """
        for block in self.blocks:
            x = block(x, bias)
        x = self.norm(x)
        batch, _, width = x.shape
        if share is not None:
            x = torch.bmm(share, x)
        elif self.first:
            x = x[:, :1]
        else:  # XNNPACK takes a mean over the last two of four dimensions only.
            x = x.transpose(1, 2).reshape(batch, width, -1, 1).mean(dim=(2, 3), keepdim=True)
        return unit(self.spread(self.project(x.reshape(batch, width))))


def unit(x: Tensor) -> Tensor:
    """Scale rows [B, d] to unit length: in float32, also where autocast would take a coarser type."""
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return unit(x.float())
    size = x.shape[1]
    # XNNPACK has products, and no sum.
    square = torch.bmm(x.view(-1, 1, size), x.view(-1, size, 1)).view(-1, 1)
    return x * torch.rsqrt(square + 1e-12)


class ClassToken(nn.Module):
    """CLIP's way into the blocks: a learned token in front of the patches, and a LayerNorm.

    The token and its position, which CLIP keeps apart, are only ever added up, and are one parameter here.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map patches [B, N, width], positions included, to tokens [B, N + 1, width]."""
        # Padded and added: to join it to every row would expand it, which XNNPACK does not take.
        token = functional.pad(self.token, (0, 0, 0, x.shape[1]))
        return self.norm(functional.pad(x, (0, 0, 1, 0)) + token)  # type: ignore[no-any-return]


def _position(grid: tuple[int, ...], config: EncoderConfig) -> nn.Parameter:
    """Return the positions of a grid's tokens, [1, N, width], learned or fixed."""
    if config.sinusoidal:
        return nn.Parameter(sinusoids(grid, config.width)[None], requires_grad=False)
    return nn.Parameter(0.02 * torch.randn(1, math.prod(grid), config.width))


def _stem(channels: int, config: EncoderConfig) -> nn.Module:
    """Make the module from images [B, channels, H, W] to feature maps [B, width, H / patch, W / patch]."""
    first, *rest = (*config.stem, config.width)
    layers: list[nn.Module] = [Patches(channels, first, config.patch >> len(rest))]
    for before, after in pairwise((first, *rest)):
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, after, 3, stride=2, padding=1)]
    return nn.Sequential(*layers)


def _flat(features: Tensor) -> Tensor:
    """Flatten feature maps [B, C, H, W] to tokens [B, H * W, C]."""
    return features.flatten(2).transpose(1, 2)


class Encoder(nn.Module, ABC):
    """What the three encoders share: a front end without parameters, then all that is learned.

    The front end's output is the same for a window every time, so training on data that fits in memory
    computes it once; the exported graph holds both.

    Attributes:
        grid: how many tokens there are along each axis: (time, mel) for audio, (frames, rows, columns) for
            video, (length,) for text.
        trunk: what is the same for all modalities.
    """

    grid: tuple[int, ...]
    trunk: Trunk

    def front(self, raw: Tensor) -> Tensor:
        """Turn the sensor's tensor into features; nothing here is learned."""
        return raw

    @abstractmethod
    def tokens(self, features: Tensor) -> Tensor:
        """Turn features into tokens float32 [B, N, width], positions included, in the order of the grid."""

    def encode(self, features: Tensor) -> Tensor:
        """Turn features into embeddings float32 [B, d] of unit length."""
        return self.trunk(self.tokens(features))  # type: ignore[no-any-return]

    def forward(self, raw: Tensor) -> Tensor:
        """Map the sensor's tensor [B, ...] to embeddings [B, d]."""
        return self.encode(self.front(raw))


class AudioEncoder(Encoder):
    """float32 [B, S] in [-1, 1] at 16 kHz -> float32 [B, d]."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        frames = frames_of(spec.shape[1])
        self.padding = -frames % config.patch
        self.grid = (frames + self.padding) // config.patch, MEL_BINS // config.patch
        self.log_mel = LogMel()
        self.stem = _stem(1, config)
        self.position = _position(self.grid, config)
        self.start = ClassToken(config.width) if config.clip else nn.Identity()
        self.trunk = Trunk(config)

    def front(self, raw: Tensor) -> Tensor:
        """Normalized log-mel, padded to whole patches: [B, 1, frames, 128]."""
        image = (self.log_mel(raw) - AUDIO_MEAN) / (2 * AUDIO_STD)
        return functional.pad(image.view(-1, 1, *image.shape[1:]), (0, 0, 0, self.padding))

    def tokens(self, features: Tensor) -> Tensor:
        """Cut log-mel images into patches."""
        return self.start(_flat(self.stem(features)) + self.position)  # type: ignore[no-any-return]


class VideoEncoder(Encoder):
    """uint8 [B, T, H, W, 3] RGB -> float32 [B, d], with separable space-time positions (App. D)."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        _, frames, height, width, _ = spec.shape
        self.tubelet = min(config.tubelet, frames)
        if frames % self.tubelet:
            raise ConfigurationError(f"{frames} video frames do not divide into tubelets of {self.tubelet}")
        if config.sinusoidal:
            raise ConfigurationError("the positions of video are learned, and cannot be sinusoidal")
        self.grid = frames // self.tubelet, height // config.patch, width // config.patch
        self.input = VideoInput()
        self.stem = _stem(3 * self.tubelet, config)
        times, *places = self.grid
        self.space = nn.Parameter(0.02 * torch.randn(1, 1, math.prod(places), config.width))
        self.time = nn.Parameter(0.02 * torch.randn(1, times, 1, config.width))
        self.start = ClassToken(config.width) if config.clip else nn.Identity()
        self.trunk = Trunk(config)

    def images(self, features: Tensor) -> Tensor:
        """Normalize clips, which are smaller as bytes: float32 [B * times, 3 * tubelet, H, W]."""
        images = self.input(features)
        return images.reshape(-1, 3 * self.tubelet, *images.shape[2:])  # type: ignore[no-any-return]

    def tokens(self, features: Tensor) -> Tensor:
        """Cut clips into patches."""
        tokens = _flat(self.stem(self.images(features)))
        tokens = tokens.reshape(-1, self.grid[0], *tokens.shape[1:]) + (self.space + self.time)
        return self.start(tokens.flatten(1, 2))  # type: ignore[no-any-return]


class TextEncoder(Encoder):
    """int64 [B, L] token ids, 0 for padding -> float32 [B, d]."""

    causal: Tensor

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        length = spec.shape[1]
        self.grid = (length,)
        self.clip = config.clip
        self.token = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.token.weight, std=0.02)
        self.position = _position(self.grid, config)
        self.trunk = Trunk(config)
        if config.clip:
            later = torch.full((1, 1, length, length), HIDE).triu(1)
            self.register_buffer("causal", later, persistent=False)

    def tokens(self, features: Tensor) -> Tensor:
        """Look token ids up."""
        return self.token(features) + self.position  # type: ignore[no-any-return]

    def encode(self, features: Tensor) -> Tensor:
        """Turn token ids into embeddings: of the mean token that is not padding, or of CLIP's last one."""
        batch, count = features.shape
        if self.clip:
            end = features.argmax(dim=1, keepdim=True)
            last = torch.arange(count, device=features.device).view(1, count) == end
            return self.trunk(self.tokens(features), self.causal, last.float().view(batch, 1, count))  # type: ignore[no-any-return]
        keep = features.clamp(0, 1).to(torch.float32)
        bias = ((keep - 1.0) * -HIDE).view(batch, 1, 1, count)
        keep = keep.view(batch, 1, count)
        # An empty caption has no token that counts; its embedding is arbitrary, but a number.
        share = keep / torch.bmm(keep, keep.view(batch, count, 1)).clamp(min=1)
        return self.trunk(self.tokens(features), bias, share)  # type: ignore[no-any-return]


ENCODERS: dict[str, Callable[[InputSpec, EncoderConfig], Encoder]] = {
    "audio": AudioEncoder,
    "text": TextEncoder,
    "video": VideoEncoder,
}
