"""ONNX models: weights of int8 that suit every processor, and finite answers."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from sensemble_export.lowering.to_onnx import to_onnx
from sensemble_runtime.bundle.manifest import Scheme
from sensemble_runtime.executors import executor
from sensemble_sensors.spec import InputSpec
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.kinds.text import TextEncoder
from torch import nn


@pytest.mark.parametrize("scheme", ["int8-dynamic", "int8-static"])
def test_sums_of_the_largest_products_do_not_saturate(scheme: Scheme, tmp_path: Path) -> None:
    encoder = nn.Sequential(nn.Linear(64, 8, bias=False), nn.Flatten()).eval()
    with torch.no_grad():
        encoder[0].weight.fill_(1)
    windows, path = torch.ones(4, 1, 64), tmp_path / "encoder.onnx"
    windows[..., 0] = 0
    executor.write(to_onnx(encoder, windows, scheme).files, path)
    # x86-64 without VNNI adds products in pairs, in 16 bits: 2 x 255 x 127 does not fit, 2 x 255 x 64 does.
    np.testing.assert_allclose(executor.load(path, "onnx")(windows[:1].numpy()), np.full(8, 63), rtol=0.02)
    stored = [numpy_helper.to_array(found) for found in onnx.load(path).graph.initializer]
    (weight,) = (found for found in stored if found.dtype == np.int8 and found.ndim == 2)
    assert np.abs(weight.astype(int)).max() == 64  # where 8 bits would not saturate, too


def test_weights_in_int8_are_restored_for_each_channel(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU6(), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(128, 8)]
    encoder, windows, path = nn.Sequential(*layers).eval(), torch.rand(1, 3, 8, 8), tmp_path / "encoder.onnx"
    for layer in (
        layers[0],
        layers[2],
        layers[4],
    ):  # one scale for all channels would leave the small ones nothing
        layer.weight.data *= torch.logspace(-3, 1, 8).view(-1, *[1] * (layer.weight.ndim - 1))
    executor.write(to_onnx(encoder, windows, "int8-weights").files, path)
    with torch.no_grad():
        expected = encoder(windows)[0].numpy()
    found = executor.load(path, "onnx")(windows.numpy())
    assert found @ expected > 0.999 * np.linalg.norm(found) * np.linalg.norm(expected)
    stored = [numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer]
    assert sorted(one.size for one in stored if one.dtype == np.int8) == [72, 216, 1024]
    assert max(one.size for one in stored if one.dtype == np.float32) == 8


def test_an_empty_caption_has_a_finite_embedding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = EncoderConfig(width=32, depth=1, heads=2, embedding=16, vocabulary=50)
    encoder, path = (
        TextEncoder(InputSpec("text", "int64", (1, 8), 0, 0, 0, 5), config).eval(),
        tmp_path / "e.onnx",
    )
    executor.write(to_onnx(encoder, torch.ones(1, 8, dtype=torch.int64), "fp32").files, path)
    empty = torch.zeros(1, 8, dtype=torch.int64)
    with torch.no_grad():
        expected = encoder(empty)[0].numpy()
    np.testing.assert_allclose(executor.load(path, "onnx")(empty.numpy()), expected, atol=1e-5)
