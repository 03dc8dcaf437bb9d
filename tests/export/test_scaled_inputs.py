"""An encoder whose input has units is one XNNPACK subgraph, float and int8, and int8 keeps its embeddings.

The scale is part of the graph, and stays float: pascals lie beside metres per second squared, and a room
takes a small part of a thermal camera's range.
"""

from dataclasses import replace

import pytest
import torch
from sensemble_export.rewrite import centred, lowerable
from sensemble_export.to_executorch import lower, quantize
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_train.models.infer_spec import small
from sensemble_train.models.kinds.registry import KINDS

AXES = tuple(Channel(name) for name in ("ax", "ay", "az", "pressure"))
HEAT = (Channel("temperature", "0.01 K", 27315, 37315),)


@pytest.mark.parametrize(
    ("spec", "scales"),
    [
        (
            InputSpec("imu", "float32", (1, 90, 4), 30, 3.0, 1.5, 6.0, "series", AXES),
            ((0.0, 3.0), (9.8, 3.0), (0.0, 3.0), (101_325.0, 50.0)),
        ),
        (
            InputSpec("air", "float32", (1, 1, 1), 1, 1.0, 1.0, 2.0, "series", (Channel("co2", "ppm"),)),
            ((400.0, 50.0),),
        ),
        (
            InputSpec("thermal", "float32", (1, 4, 32, 32, 1), 4, 1.0, 0.5, 2.0, "frames", HEAT),
            ((0.25, 0.02),),
        ),
    ],
    ids=["series", "one row", "frames"],
)
def test_it_is_one_subgraph_in_float_and_int8(
    spec: InputSpec, scales: tuple[tuple[float, float], ...]
) -> None:
    torch.manual_seed(0)
    config = replace(small({spec.modality: spec})[spec.modality], scales=scales)
    encoder = KINDS[spec.kind].encoder(spec, config)
    mean, deviation = torch.tensor(scales).T
    encoder(mean + deviation * torch.randn(64, *spec.shape[1:]))  # for its batch norms
    encoder.eval()
    windows = mean + deviation * torch.randn(12, *spec.shape[1:])
    expected = encoder(windows)
    plain = lowerable(encoder, int8=False)
    torch.testing.assert_close(plain(windows[:1]), expected[:1], atol=1e-4, rtol=0)
    quantized = quantize(centred(lowerable(encoder, int8=True), windows), windows, "int8-static")
    found = torch.cat([quantized(window) for window in windows.split(1)])
    assert torch.cosine_similarity(found, expected).min() > 0.98
    for graph in (plain, quantized):
        delegation = lower(graph, windows[:1]).delegation
        assert (delegation.subgraphs, delegation.remaining) == (1, {})
