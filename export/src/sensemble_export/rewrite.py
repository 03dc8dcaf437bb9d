"""An encoder as it is exported: the same function in layers that one XNNPACK subgraph holds."""

import copy

import torch
from sensemble_train.encoders import Block, Trunk
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

    Layer norms hand their affine part to the linear layer behind them, and the last batch norm goes into the
    projection before it: fewer constants and operations, and the same function.

    Args:
        encoder: one of `sensemble_train.encoders`; it is left as it is.
        int8: also store embedding tables, which the quantizer does not reach, as int8.
    """
    rewritten = copy.deepcopy(encoder).eval()
    for module in list(rewritten.modules()):
        if isinstance(module, Block):
            _fold(module, "norm1", "attention.qkv")
            _fold(module, "norm2", "mlp.0")
        elif isinstance(module, Trunk):
            _fold(module, "norm", "project")  # between them is a mean over tokens, which commutes
            _fold_spread(module)
        for name, child in module.named_children():
            if int8 and isinstance(child, nn.Embedding):
                setattr(module, name, Int8Embedding(child))
    return rewritten


def _fold(parent: nn.Module, norm_name: str, linear_name: str) -> None:
    """Move the affine part of a layer norm into the linear layer behind it."""
    norm: nn.LayerNorm = parent.get_submodule(norm_name)  # type: ignore[assignment]
    linear: nn.Linear = parent.get_submodule(linear_name)  # type: ignore[assignment]
    folded = nn.Linear(linear.in_features, linear.out_features)
    folded.weight.copy_(linear.weight * norm.weight)
    folded.bias.copy_(functional.linear(norm.bias, linear.weight, linear.bias))
    parent.set_submodule(linear_name, folded)
    parent.set_submodule(norm_name, Standardize(norm))


def _fold_spread(trunk: Trunk) -> None:
    """Move the batch norm behind the projection, which has no affine part, into the projection."""
    spread, project = trunk.spread, trunk.project
    mean, variance = spread.running_mean, spread.running_var
    assert mean is not None  # noqa: S101 - the batch norm keeps running statistics
    assert variance is not None  # noqa: S101
    scale = torch.rsqrt(variance + spread.eps)
    project.weight.mul_(scale[:, None])
    project.bias.sub_(mean).mul_(scale)
    trunk.set_submodule("spread", nn.Identity())
