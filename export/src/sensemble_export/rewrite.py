"""An encoder as it is exported: the same function in layers that one XNNPACK subgraph holds."""

import copy
from itertools import pairwise

import torch
from sensemble_train.encoders import ClassToken, Trunk
from sensemble_train.transformer import Block
from torch import Tensor, nn
from torch.nn import functional


class Standardize(nn.Module):
    """Layer normalization without its affine part, its means as products, which XNNPACK takes."""

    average: Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        size = norm.normalized_shape[-1]
        self.eps = norm.eps
        self.register_buffer("average", torch.full((1, size), 1 / size))

    def forward(self, x: Tensor) -> Tensor:
        """Bring [..., width] to mean 0 and variance 1."""
        centred = x - functional.linear(x, self.average)
        return centred * torch.rsqrt(functional.linear(centred * centred, self.average) + self.eps)


class Affine(nn.Module):
    """The affine part of a layer normalization behind which no linear layer stands."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(norm.weight.detach()), nn.Parameter(norm.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift [..., width]."""
        return x * self.weight + self.bias


class Int8Embedding(nn.Module):
    """An embedding table of int8 rows, each with a float scale; symmetric, as the linear weights are."""

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


@torch.no_grad()
def lowerable(encoder: nn.Module, *, int8: bool) -> nn.Module:
    """Return a copy of `encoder`, in evaluation mode, that lowers to one subgraph.

    What is affine in a normalization goes into the layer with weights beside it: fewer constants and
    operations, and the same function.

    Args:
        encoder: one of `sensemble_train.encoders`; it is left as it is.
        int8: also store embedding tables, which the quantizer does not reach, as int8.
    """
    rewritten = copy.deepcopy(encoder).eval()
    for module in list(rewritten.modules()):
        if isinstance(module, Block):
            _hand_on(module, "norm1", module.attention.qkv)
            _hand_on(module, "norm2", module.mlp[0])
        elif isinstance(module, ClassToken):
            module.set_submodule("norm", nn.Sequential(Standardize(module.norm), Affine(module.norm)))
        elif isinstance(module, Trunk):
            if isinstance(module.project, nn.Identity):
                module.project = _identity(module.norm.normalized_shape[0])
            _hand_on(module, "norm", module.project)  # between them is a mean over tokens, which commutes
        for (_, before), (name, layer) in pairwise(list(module.named_children())):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):  # which stands right behind it, everywhere
                weighted = [m for m in before.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
                _absorb(module, name, weighted[-1])
        for name, child in module.named_children():
            if int8 and isinstance(child, nn.Embedding):
                setattr(module, name, Int8Embedding(child))
    return rewritten


def _identity(size: int) -> nn.Linear:
    """Return the linear layer that changes nothing."""
    layer = nn.Linear(size, size, bias=False)
    layer.weight.copy_(torch.eye(size))
    return layer


def _hand_on(parent: nn.Module, name: str, behind: nn.Module) -> None:
    """Move the affine part of the layer norm `name` into the linear layer behind it."""
    norm = parent.get_submodule(name)
    assert isinstance(norm, nn.LayerNorm)  # noqa: S101 - so the encoders are built
    assert isinstance(behind, nn.Linear)  # noqa: S101
    _set(behind, behind.weight * norm.weight, functional.linear(norm.bias, behind.weight, behind.bias))
    parent.set_submodule(name, Standardize(norm))


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
