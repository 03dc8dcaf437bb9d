"""The encoder of a thermal camera's pictures is one XNNPACK subgraph, and int8 keeps its embeddings."""

from dataclasses import replace

import torch
from sensemble_export.lower import lower
from sensemble_export.quantize import quantize
from sensemble_export.rewrite import centred, lowerable
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_train.models.kinds.registry import KINDS
from sensemble_train.models.presets import small


def test_it_is_one_subgraph_in_float_and_int8() -> None:
    channels = (Channel("temperature", "0.01 K", 27315, 37315),)
    spec = InputSpec("thermal", "float32", (1, 4, 32, 32, 1), 4, 1.0, 0.5, 2.0, "frames", channels)
    # A room takes a small part of the range: the scale is part of the graph, and stays float.
    mean, deviation = 0.25, 0.02
    torch.manual_seed(0)
    encoder = KINDS["frames"].encoder(
        spec, replace(small({"thermal": spec})["thermal"], scales=((mean, deviation),))
    )
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
        division = lower(graph, windows[:1]).delegation
        assert (division.subgraphs, division.remaining) == (1, {})
