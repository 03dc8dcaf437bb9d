"""Parts of a ViT encoder: raw sensor tensor in, embedding out (paper, Sec. 4.1 and App. D).

Preprocessing is part of the module and every shape is static, so that training, Python and a phone run the
same graph. The stem is the patch embedding of ViT or, for small data, a stack of convolutions. With `clip`,
the encoders have the form of CLIP's and take its weights (`clip_weights`). `kinds` has an encoder per kind.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import ItemsView, Iterator, KeysView, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.transformer import Activation, Block, Patches, sinusoids

HIDE = -1e4
"""Added to the attention score of a hidden token."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The shape of one encoder.

    Attributes:
        stem: output channels of the stem's convolutions before the last one; empty for plain patches.
        patch: side of a patch in pixels, or in frames x mel bins; with a stem, the product of its strides,
            of which all but the first are 2.
        tubelet: video frames that share one token.
        activation: of the blocks' perceptrons.
        drop_path: largest rate of stochastic depth (App. E).
        clip: the form of CLIP: a class token before the patches, which becomes the embedding, and a
            LayerNorm; in text, a causal mask, and the embedding of the end-of-text token, which has the
            largest id.
        sinusoidal: fixed positions instead of learned ones (App. D), in sound and text; those of frames are
            always learned.
        project: whether a linear layer makes the embedding; without it, `embedding` equals `width`.
        spread: whether a BatchNorm without affine parameters precedes the embedding's normalization.
        relative: whether the front end makes the embedding independent of the level of sound and of the
            brightness and contrast of frames, instead of the fixed scales of Table 6.
        scales: of a series, the mean and the deviation of each channel over the data.
        vectors: of a series, the channels that are x, y and z of one vector.
        length: of the embedding: how much the modality counts in the mean (`recipe.balance`).
        source: a pretrained encoder (`pretrained.sources`) before an adapter, or without `project` alone; of
            the other fields, only `embedding`, `vocabulary`, `length` and `place` then have a meaning.
        unfrozen: last blocks of `source` that learn with the adapter; -1 for the whole encoder.
        place: of the features of `source` in the embedding, which then has no adapter (`pretrained.encoder`).
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
    relative: bool = False
    scales: tuple[tuple[float, float], ...] = ()
    vectors: tuple[tuple[int, int, int], ...] = ()
    length: float = 1.0
    source: str = ""
    unfrozen: int = 0
    place: int | None = None


class Trunk(nn.Module):
    """Transformer blocks, reduction to one vector, projection, BatchNorm without affine, L2 normalization.

    The BatchNorm removes the part that all embeddings of a modality share. At first, the differences between
    classes are small compared with it: without the BatchNorm, encoders that learn from a few thousand triples
    separate people, and nothing else, for hundreds of steps. It also centres the modalities on each other, so
    that a head trained on one can read another. Export folds it into the projection. The embedding has unit
    length in training, so that no modality outweighs another in the pooled mean (Eq. 7).
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
        self.length = config.length

    def forward(self, x: Tensor, bias: Tensor | None = None, share: Tensor | None = None) -> Tensor:
        """Map tokens to embeddings.

        Args:
            x: float32 [B, N, width].
            bias: added to the attention scores, [B, 1, 1, N] or [1, 1, N, N].
            share: float32 [B, 1, N], the weight of each token in the vector that becomes the embedding; by
                default the class token's where there is one, and else the mean.

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
        return scaled(self.spread(self.project(x.reshape(batch, width))), self.length)


def scaled(x: Tensor, length: float) -> Tensor:
    """Scale rows [B, d] to a length, in float32 also under autocast."""
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return scaled(x.float(), length)
    size = x.shape[1]
    # XNNPACK has products but no sum.
    square = torch.bmm(x.view(-1, 1, size), x.view(-1, size, 1)).view(-1, 1)
    # A bound and no sum: the exporter to ONNX takes a tiny term for zero, and an empty caption would be NaN.
    return x * torch.rsqrt((square * length**-2).clamp(min=1e-12))


class ClassToken(nn.Module):
    """The input of CLIP's blocks: a learned token before the patches, and a LayerNorm.

    CLIP has separate parameters for the token and its position; their sum is one parameter here.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map patches [B, N, width], positions included, to tokens [B, N + 1, width]."""
        # Padded and added: joining it to every row would need `expand`, which XNNPACK does not take.
        token = functional.pad(self.token, (0, 0, 0, x.shape[1]))
        return self.norm(functional.pad(x, (0, 0, 1, 0)) + token)  # type: ignore[no-any-return]


def positions(grid: tuple[int, ...], config: EncoderConfig) -> nn.Parameter:
    """Return the positions of a grid's tokens, [1, N, width], learned or fixed."""
    if config.sinusoidal:
        return nn.Parameter(sinusoids(grid, config.width)[None], requires_grad=False)
    return nn.Parameter(0.02 * torch.randn(1, math.prod(grid), config.width))


def make_stem(channels: int, config: EncoderConfig) -> nn.Module:
    """Make a stem: images [B, channels, H, W] to feature maps [B, width, H / patch, W / patch]."""
    first, *rest = (*config.stem, config.width)
    layers: list[nn.Module] = [Patches(channels, first, config.patch >> len(rest))]
    for before, after in pairwise((first, *rest)):
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, after, 3, stride=2, padding=1)]
    return nn.Sequential(*layers)


def flat(features: Tensor) -> Tensor:
    """Flatten feature maps [B, C, H, W] to tokens [B, H * W, C]."""
    return features.flatten(2).transpose(1, 2)


class Encoder(nn.Module, ABC):
    """A front end without parameters that learn, then all that is learned.

    The front end's output is the same for a window every time, so training on data that fits in memory
    computes it once; the exported graph holds both.
    """

    def front(self, raw: Tensor) -> Tensor:
        """Turn the sensor's tensor [B, ...] into features [B, ...]; nothing here is learned."""
        return raw

    @abstractmethod
    def encode(self, features: Tensor) -> Tensor:
        """Turn features into embeddings float32 [B, d] of unit length."""

    def forward(self, raw: Tensor) -> Tensor:
        """Map the sensor's tensor [B, ...] to embeddings [B, d]."""
        return self.encode(self.front(raw))


_TAKEN = frozenset(dir(nn.ModuleDict()))


class ByModality(nn.ModuleDict):
    """Modules by modality; `module_name` is a modality's name in the state."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__({module_name(m): module for m, module in modules.items()})

    def __getitem__(self, key: str) -> nn.Module:
        return super().__getitem__(module_name(key))

    def __contains__(self, key: str) -> bool:
        return super().__contains__(module_name(key))

    def __iter__(self) -> Iterator[str]:
        return (name.rstrip(":").replace(":", ".") for name in self._modules)

    def keys(self) -> KeysView[str]:
        """See `dict`."""
        return dict.fromkeys(self).keys()

    def items(self) -> ItemsView[str, nn.Module]:
        """See `dict`."""
        return {m: self[m] for m in self}.items()


def module_name(modality: str) -> str:
    """Return the name of a modality's module in a `ByModality`.

    PyTorch takes no dot, and no name of an attribute of the module, such as `type`.
    """
    return modality.replace(".", ":") + ":" * (modality in _TAKEN)


class TokenEncoder(Encoder):
    """An encoder whose trunk reads tokens; each kind of modality has a subclass.

    Attributes:
        grid: number of tokens along each axis: (time, mel) for sound, (frames, rows, columns) for frames,
            (length,) for text.
        trunk: the part that is alike in all encoders.
        pads: whether tokens may be padding, of id 0.
    """

    pads: ClassVar[bool] = False
    grid: tuple[int, ...]
    trunk: Trunk

    @abstractmethod
    def tokens(self, features: Tensor) -> Tensor:
        """Turn features into tokens float32 [B, N, width], positions included, in the order of the grid."""

    def encode(self, features: Tensor) -> Tensor:
        """Turn features into embeddings float32 [B, d] of unit length."""
        return self.trunk(self.tokens(features))  # type: ignore[no-any-return]


class PatchEncoder(TokenEncoder):
    """An encoder of images that are cut into patches.

    Attributes:
        patch: side of a patch.
        start: the class token, where there is one.
    """

    patch: int
    stem: nn.Module
    start: nn.Module

    def images(self, features: Tensor) -> Tensor:
        """Return the images [B * times, channels, H, W] that the stem cuts into patches."""
        return features
