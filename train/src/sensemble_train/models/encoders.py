"""Parts of a ViT encoder: raw sensor tensor in, embedding out (paper, Sec. 4.1 and App. D).

Preprocessing is part of the module and every shape is static, so that training, Python and a phone run the
same graph. The stem is ViT's patch embedding or, for small data, a stack of convolutions. With `clip`, the
encoders have the form of CLIP's and take its weights (`experiments.openai_clip`). `kinds` has an encoder per
kind.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import ItemsView, Iterator, KeysView, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.transformer import Activation, Block, Patches, sinusoids

HIDE = -1e4  # added to the attention score of a hidden token


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The shape of one encoder.

    With `source`, only `embedding`, `vocabulary`, `length`, `project` and what follows `source` have a
    meaning: an adapter follows the pretrained encoder, unless `project` is off or `place` is given. `clip` is
    CLIP's form: a class token before the patches, which becomes the embedding, and a LayerNorm; in text, a
    causal mask, and the embedding of the end-of-text token, which has the largest id.
    """

    width: int
    depth: int
    heads: int
    embedding: int
    stem: tuple[int, ...] = ()  # output channels of its convolutions but the last; empty for plain patches
    patch: int = 16  # side in pixels, or frames x mel bins; a stem's strides multiplied, a series' first
    tubelet: int = 1  # video frames that share one token
    sizes: tuple[float, ...] = ()  # of frames, for convolutions over all places instead of a transformer: the
    # scales at which they read once trained (`places`)
    vocabulary: int = 0
    activation: Activation = "gelu"
    drop_path: float = 0.0  # largest rate of stochastic depth (App. E)
    clip: bool = False
    sinusoidal: bool = False  # fixed positions of sound and text (App. D, MAE); those of frames are learned
    project: bool = True  # to the embedding, by a layer, or of `source` by an adapter; else features are it
    spread: bool = True  # by a BatchNorm without affine parameters before the embedding's normalization
    relative: bool = False  # without level, brightness and contrast, instead of by Table 6's scales
    scales: tuple[tuple[float, float], ...] = ()  # of a series, each channel's mean and deviation
    vectors: tuple[tuple[int, int, int], ...] = ()  # of a series, the channels x, y and z of one vector
    length: float = 1.0  # of the embedding: the modality's weight in the mean (`recipe.embedding_lengths`)
    source: str = ""  # a pretrained encoder (`pretrained.sources`)
    unfrozen: int = 0  # last blocks of `source` that learn with the adapter; -1 for all
    place: int | None = None  # of the features of `source` in the embedding (`pretrained.encoder`)
    components: int = 0  # principal ones of these features that are kept; 0 for the features themselves
    decay: float = 0.0  # of the linear classifier that reads them (`recipe.linear_student`)


class Trunk(nn.Module):
    """Transformer blocks, reduction to one vector, projection, BatchNorm without affine, L2 normalization.

    The BatchNorm removes what all embeddings of a modality share; at first, the differences between classes
    are small compared with it. Without it, encoders that learn from a few thousand clips separate only people
    for hundreds of steps. It also centres the modalities on each other, so that a head trained on one can
    read another. Export folds it into the projection. By the embedding's unit length in training, no modality
    outweighs another in the pooled mean (Eq. 7).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        rates = [config.drop_path * i / max(1, config.depth - 1) for i in range(config.depth)]
        width, size = config.width, config.embedding
        self.first = config.clip
        self.blocks = nn.ModuleList(Block(width, config.heads, config.activation, rate) for rate in rates)
        self.norm = nn.LayerNorm(width)
        if not config.project and size != width:
            raise ConfigurationError(
                f"--model.embedding {size}: masked autoencoding takes --model.width, {width}"
            )
        self.project = nn.Linear(width, size, bias=False) if config.project else nn.Identity()
        self.spread = nn.BatchNorm1d(size, affine=False) if config.spread else nn.Identity()
        self.length = config.length

    def forward(self, x: Tensor, bias: Tensor | None = None, share: Tensor | None = None) -> Tensor:
        """Map tokens [B, N, width] to embeddings [B, d], float32.

        `bias`, [B, 1, 1, N] or [1, 1, N, N], is added to the attention scores. `share`, [B, 1, N], weighs the
        tokens in the vector that becomes the embedding; by default, the class token or else the mean.
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
    """CLIP's learned token before the patches, here with its position added, and a LayerNorm."""

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
    """A front end that learns nothing, computed once for data in memory, then all that is learned."""

    def front(self, raw: Tensor) -> Tensor:
        """Turn the sensor's tensor [B, ...] into features [B, ...]."""
        return raw

    @abstractmethod
    def encode(self, features: Tensor) -> Tensor:
        """Turn features into embeddings float32 [B, d] of unit length."""

    def forward(self, raw: Tensor) -> Tensor:
        """Map the sensor's tensor [B, ...] to embeddings [B, d]."""
        return self.encode(self.front(raw))


_TAKEN = frozenset(dir(nn.ModuleDict()))


class ByModality(nn.ModuleDict):
    """Modules by modality."""

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
    """Return a modality's module name: PyTorch takes no dot, and no attribute's name, such as `type`."""
    return modality.replace(".", ":") + ":" * (modality in _TAKEN)


class TokenEncoder(Encoder):
    """An encoder whose trunk reads tokens; a kind has a subclass."""

    grid: tuple[int, ...]  # tokens along each axis: (time, mel), (frames, rows, columns) or (length,)
    trunk: Trunk

    @abstractmethod
    def tokens(self, features: Tensor) -> Tensor:
        """Turn features into tokens float32 [B, N, width], positions included, in the order of the grid."""

    def encode(self, features: Tensor) -> Tensor:
        """See `Encoder`."""
        return self.trunk(self.tokens(features))  # type: ignore[no-any-return]
