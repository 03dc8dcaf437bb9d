"""Rewriting of an encoder for export: the same function in layers that fit one XNNPACK subgraph."""

import copy
from itertools import pairwise
from typing import TypeGuard

import torch
from sensemble_train.models.encoders import ClassToken, TokenEncoder, Trunk
from sensemble_train.models.kinds.series import SeriesEncoder
from sensemble_train.models.places import PlacesEncoder
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.models.transformer import Attention, Block
from torch import Tensor, nn
from torch.nn import functional


class RootMeanSquare(nn.Module):
    """A layer norm for a stream of mean 0, without affine part; XNNPACK takes its mean as a product."""

    average: Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        size = norm.normalized_shape[-1]
        self.eps = norm.eps
        self.register_buffer("average", torch.full((1, size), 1 / size))

    def forward(self, x: Tensor) -> Tensor:
        """Bring [..., width] of mean 0 to variance 1."""
        return x * torch.rsqrt(functional.linear(x * x, self.average) + self.eps)


class Norm(nn.Module):
    """A layer norm in operations that XNNPACK has: its means are products."""

    average: Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        (size,) = norm.normalized_shape
        self.eps, self.affine = norm.eps, norm.elementwise_affine
        self.weight, self.bias = norm.weight, norm.bias
        self.register_buffer("average", torch.full((1, size), 1 / size))

    def forward(self, x: Tensor) -> Tensor:
        """Bring [..., width] to mean 0 and variance 1, then scale and shift it."""
        x = x - functional.linear(x, self.average)
        x = x * torch.rsqrt(functional.linear(x * x, self.average) + self.eps)
        return x * self.weight + self.bias if self.affine else x


class CentredAffine(nn.Module):
    """The affine part of the layer norm at the start of a residual stream, centred to mean 0."""

    average: Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        size = norm.normalized_shape[-1]
        self.weight, self.bias = nn.Parameter(norm.weight.detach()), nn.Parameter(norm.bias.detach())
        self.register_buffer("average", torch.full((1, size), 1 / size))

    def forward(self, x: Tensor) -> Tensor:
        """Scale, shift and centre [..., width]."""
        x = x * self.weight + self.bias
        return x - functional.linear(x, self.average)


class SplitAttention(nn.Module):
    """`Attention` on one window with q, k and v apart: slices of a common layer would also be copied."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads, self.size, self.out = attention.heads, attention.size, attention.out
        layers = []
        for index, (weight, bias) in enumerate(
            zip(attention.qkv.weight.chunk(3), attention.qkv.bias.chunk(3), strict=True)
        ):
            scale = self.size**-0.5 if index == 0 else 1.0
            layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
            _set(layer, weight * scale, bias * scale)
            layers.append(layer)
        self.q, self.k, self.v = layers

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend over x [1, N, width]; `bias` [1, 1, 1, N] or [1, 1, N, N] is added to the scores."""
        count, width = x.shape[1:]
        heads = (count, self.heads, self.size)
        q = self.q(x).view(heads).permute(1, 0, 2)
        k = self.k(x).view(heads).permute(1, 2, 0)
        v = self.v(x).view(heads).permute(1, 0, 2)
        scores = torch.bmm(q, k)
        if bias is not None:
            scores = scores + bias.view(1, -1, count)
        mixed = torch.bmm(scores.softmax(dim=-1), v).permute(1, 0, 2)
        return self.out(mixed.reshape(1, count, width))  # type: ignore[no-any-return]


class Int8Embedding(nn.Module):
    """An embedding table of int8 rows, each with a float scale; symmetric, like the linear weights."""

    rows: Tensor
    scales: Tensor

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        weight = table.weight.detach()
        scales = weight.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
        self.register_buffer("scales", scales)
        self.register_buffer("rows", (weight / scales).round().to(torch.int8))

    def forward(self, ids: Tensor) -> Tensor:
        """Map int64 [...] to float32 [..., width]."""
        return functional.embedding(ids, self.rows).to(torch.float32) * functional.embedding(ids, self.scales)


class Centred(nn.Module):
    """A linear layer whose input is centred on a mean; the mean's contribution is in its bias."""

    mean: Tensor

    def __init__(self, layer: nn.Linear, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.layer = layer
        _set(layer, layer.weight, functional.linear(mean, layer.weight, layer.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., inputs] to [..., outputs] as the layer did."""
        return self.layer(x - self.mean)  # type: ignore[no-any-return]


@torch.no_grad()
def centred(encoder: nn.Module, windows: Tensor) -> nn.Module:
    """Return a copy of `encoder`, in evaluation mode, whose projections' inputs are centred on their means.

    The function is the same, and int8 preserves it better: most of a projection's input is common to all
    windows, and the BatchNorm that is folded into the projection would stretch int8's rounding steps with the
    rest. `windows` [N, ...] are real data.
    """
    encoder = copy.deepcopy(encoder)
    layers = {name: layer for name, layer in encoder.named_modules() if _spreads(encoder, name, layer)}
    fed: dict[str, list[Tensor]] = {name: [] for name in layers}
    hooks = [
        layer.register_forward_pre_hook(lambda _, given, rows=fed[name]: rows.append(given[0]))
        for name, layer in layers.items()
    ]
    for window in windows.split(1):
        encoder(window)
    for hook in hooks:
        hook.remove()
    for name, layer in layers.items():
        encoder.set_submodule(name, Centred(layer, torch.cat(fed[name]).mean(dim=0)))
    return encoder


def _spreads(encoder: nn.Module, name: str, layer: nn.Module) -> TypeGuard[nn.Linear]:
    """Tell whether a layer is an encoder's projection or of an adapter, before a batch norm."""
    above = encoder.get_submodule(name.rpartition(".")[0])
    adapts = name.startswith("adapter.") and isinstance(encoder, Pretrained)
    projects = isinstance(above, Trunk | SeriesEncoder | PlacesEncoder) and above.project is layer
    return isinstance(layer, nn.Linear) and (adapts or projects)


@torch.no_grad()
def lowerable(encoder: nn.Module, *, int8: bool) -> nn.Module:
    """Return a copy of `encoder`, in evaluation mode and for one window, that lowers to one fast subgraph.

    Batch norms move into the layers before them; layer norms and attentions become operations that XNNPACK
    has. In a `Trunk`, the affine parts of layer norms and their centring also move into neighbouring weights.
    With `int8`, embedding tables, which the quantizer does not reach, are stored as int8.
    """
    rewritten = copy.deepcopy(encoder).eval()
    _absorb_batch_norms(rewritten)
    for module in list(rewritten.modules()):
        if isinstance(module, TokenEncoder):
            _centre_input(module)
        elif isinstance(module, PlacesEncoder):  # a weight of two quantized layers would stay float
            module.copies = nn.ModuleList(copy.deepcopy(module.stem) for _ in module.sizes[1:])
        elif isinstance(module, ClassToken):
            module.token.sub_(module.token.mean(dim=-1, keepdim=True))
            module.set_submodule(
                "norm", nn.Sequential(RootMeanSquare(module.norm), CentredAffine(module.norm))
            )
        elif isinstance(module, Trunk):
            if isinstance(module.project, nn.Identity):
                module.project = _identity(module.norm.normalized_shape[0])
            _hand_on(module, "norm", module.project)  # the mean over tokens between them commutes
            for block in module.blocks:
                assert isinstance(block, Block)  # noqa: S101 - so trunks are built
                _hand_on(block, "norm1", block.attention.qkv)
                _hand_on(block, "norm2", block.mlp[0])
                _centre(block.attention.out)
                _centre(block.mlp[2])
        _replace_children(module, int8=int8)
    return rewritten


def _replace_children(module: nn.Module, *, int8: bool) -> None:
    """Replace attentions and layer norms by what lowers and, with `int8`, tables by int8."""
    for name, child in module.named_children():
        if isinstance(child, Attention):
            setattr(module, name, SplitAttention(child))
        elif isinstance(child, nn.LayerNorm):
            setattr(module, name, Norm(child))
        elif int8 and isinstance(child, nn.Embedding):
            setattr(module, name, Int8Embedding(child))


def _absorb_batch_norms(encoder: nn.Module) -> None:
    for module in list(encoder.modules()):
        for (_, before), (name, layer) in pairwise(list(module.named_children())):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):  # always right behind its layer
                weighted = [m for m in before.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
                _absorb(module, name, weighted[-1])


def _identity(size: int) -> nn.Linear:
    layer = nn.Linear(size, size, bias=False)
    layer.weight.copy_(torch.eye(size))
    return layer


def _centre_input(encoder: TokenEncoder) -> None:
    """Centre the summands at the start of the residual stream: stem or token table, and positions."""
    for name, child in encoder.named_children():
        if name == "stem":
            _centre([m for m in child.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1])
        elif isinstance(child, nn.Embedding):
            child.weight.sub_(child.weight.mean(dim=1, keepdim=True))
    for position in encoder.parameters(recurse=False):
        position.sub_(position.mean(dim=-1, keepdim=True))


def _centre(layer: nn.Module) -> None:
    """Subtract from every output of `layer` the mean over its outputs."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)  # noqa: S101 - so the encoders are built
    assert layer.bias is not None  # noqa: S101
    _set(layer, layer.weight - layer.weight.mean(dim=0), layer.bias - layer.bias.mean())


def _hand_on(parent: nn.Module, name: str, behind: nn.Module) -> None:
    """Move the affine part of the layer norm `name` into the linear layer behind it."""
    norm = parent.get_submodule(name)
    assert isinstance(norm, nn.LayerNorm)  # noqa: S101 - so the encoders are built
    assert isinstance(behind, nn.Linear)  # noqa: S101
    _set(behind, behind.weight * norm.weight, functional.linear(norm.bias, behind.weight, behind.bias))
    parent.set_submodule(name, RootMeanSquare(norm))


def _absorb(parent: nn.Module, name: str, before: nn.Linear | nn.Conv2d) -> None:
    """Move the batch norm `name` into the linear layer or convolution before it."""
    norm = parent.get_submodule(name)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)  # noqa: S101 - so the encoders are built
    assert norm.running_mean is not None  # noqa: S101
    assert norm.running_var is not None  # noqa: S101
    scale = torch.rsqrt(norm.running_var + norm.eps) * (norm.weight if norm.affine else 1)
    shift = (norm.bias if norm.affine else 0) - norm.running_mean * scale
    bias = shift if before.bias is None else before.bias * scale + shift
    _set(before, before.weight * scale.view(-1, *[1] * (before.weight.dim() - 1)), bias)
    parent.set_submodule(name, nn.Identity())


def _set(layer: nn.Linear | nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
