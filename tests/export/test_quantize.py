"""Int8 of convolutions: their ranges are those behind the clamp that follows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sensemble_export.to_executorch import lower, quantize
from sensemble_export.to_onnx import to_onnx
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.native import NativeEncoder
from torch import Tensor, nn
from torch.nn import functional


class Saturated(nn.Module):
    """Convolutions as in phones' networks, of which ReLU6 cuts off all but a small part."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.wide, self.deep = nn.Conv2d(3, 24, 3, padding=1), nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.out = nn.Conv2d(24, 16, 1)
        with torch.no_grad():
            for layer in (self.wide, self.deep):
                layer.weight *= 40 * torch.rand(24, 1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [1, 3, 16, 16] to [1, 16]."""
        x = functional.relu6(self.deep(functional.relu6(self.wide(x))))
        return self.out(x).mean(dim=(2, 3), keepdim=True).view(1, 16)


@pytest.mark.parametrize("target", ["executorch-xnnpack", "onnx"])
@torch.no_grad()
def test_what_a_clamp_cuts_off_is_in_no_range(target: str, tmp_path: Path) -> None:
    encoder = Saturated().eval()
    rows = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    seen, held_out = rows[:20], rows[20:]
    if target == "onnx":
        executor.write(to_onnx(encoder, seen, "int8-static").files, tmp_path / "encoder.onnx")
        run = executor.load(tmp_path / "encoder.onnx", target, 1)
    else:
        lowered = lower(quantize(encoder, seen, "int8-static"), rows[:1])
        assert lowered.delegation.subgraphs == 1
        run = NativeEncoder(Path("encoder.pte"), lowered.files, 1)
    found = torch.from_numpy(np.stack([run(row.numpy()).reshape(-1) for row in held_out.split(1)]))
    expected = torch.cat([encoder(row) for row in held_out.split(1)])
    common = expected.mean(dim=0)
    # With what is cut off in the ranges, it is 0.93 and 0.92.
    assert functional.cosine_similarity(found - common, expected - common).mean() > 0.95
