"""EfficientNet-Lite0 (Tan and Le, 2019), in the names and the order of timm's `tf_efficientnet_lite0`."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 224  # pixels of a picture's sides in its training
_STEM, _HEAD = 32, 1280
_STAGES = (  # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_MEAN, _STD = 127.0, 128.0  # of a level of 255


class EfficientNet(nn.Module):
    """uint8 [B, T, H, W, 3] RGB -> float32 [B, 1280], the mean; weights in timm's order."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.conv_stem, self.bn1 = _conv(3, _STEM, 3, 2), _norm(_STEM)
        stages, before = [], _STEM
        for kernel, stride, expansion, channels, count in _STAGES:
            blocks = []
            for number in range(count):
                blocks.append(_Block(before, channels, kernel, 1 if number else stride, expansion))
                before = channels
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv_head, self.bn2 = _conv(before, _HEAD, 1, 1), _norm(_HEAD)
        features = list(weights.values())[:-2]  # without the classifier's two
        self.load_state_dict(dict(zip(self.state_dict(), features, strict=True)))

    def forward(self, frames: Tensor) -> Tensor:
        """Map clips to the mean over their frames."""
        batch, times = frames.shape[:2]
        x = frames.to(torch.float32).flatten(0, 1).permute(0, 3, 1, 2) * (1 / _STD) - _MEAN / _STD
        x = functional.relu6(self.bn1(self.conv_stem(x)))
        x = functional.relu6(self.bn2(self.conv_head(self.blocks(x)))).mean(dim=(2, 3), keepdim=True)
        # A mean over frames as one over places, the only one that XNNPACK takes.
        return x.view(batch, times, _HEAD, 1).transpose(1, 2).mean(dim=(2, 3), keepdim=True).view(batch, -1)


class _Block(nn.Module):
    """An inverted residual: expansion, a convolution in depth, projection."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside, self.adds = before * expansion, stride == 1 and before == after
        expand = [_conv(before, inside, 1, 1), _norm(inside), nn.ReLU6()] if expansion > 1 else []
        depth = [_conv(inside, inside, kernel, stride, groups=inside), _norm(inside), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *depth, _conv(inside, after, 1, 1), _norm(after))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, before, H, W] to [B, after, H / stride, W / stride]."""
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


class _SameConv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: more behind than before."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, D, ceil(H / stride), ceil(W / stride)]."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max(0, (-(-size // stride) - 1) * stride + kernel - size) for size in x.shape[2:])
        return super().forward(
            functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        )


def _conv(before: int, after: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(before, after, kernel, padding=kernel // 2, groups=groups, bias=False)
    return _SameConv(before, after, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
