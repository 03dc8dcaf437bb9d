"""The weights of an int8 ONNX model are small enough for every processor that it may meet."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from sensemble_export.to_onnx import to_onnx
from sensemble_runtime.bundle.manifest import Scheme
from sensemble_runtime.executors.executor import load
from torch import nn


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-static"])
def test_sums_of_the_largest_products_do_not_saturate(scheme: Scheme, tmp_path: Path) -> None:
    encoder = nn.Sequential(nn.Linear(64, 8, bias=False), nn.Flatten()).eval()
    with torch.no_grad():
        encoder[0].weight.fill_(1)
    windows, path = torch.ones(4, 1, 64), tmp_path / "encoder.onnx"
    windows[..., 0] = 0
    to_onnx(encoder, windows, scheme, (), path)
    # x86-64 without VNNI adds products in pairs, in 16 bits: 2 x 255 x 127 does not fit, 2 x 255 x 64 does.
    np.testing.assert_allclose(load(path, "onnx")(windows[:1].numpy()), np.full(8, 63), rtol=0.02)
    stored = [numpy_helper.to_array(found) for found in onnx.load(path).graph.initializer]
    (weight,) = (found for found in stored if found.dtype == np.int8 and found.ndim == 2)
    assert np.abs(weight.astype(int)).max() == 64  # where 8 bits would not saturate, too
