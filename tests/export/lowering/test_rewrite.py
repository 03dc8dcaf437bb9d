"""The rewritten encoders are the same functions, and int8 tables lose no more than half a step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_export.errors import MeasurementError
from sensemble_export.lowering.rewrite import Int8Embedding, centred, lowerable
from sensemble_export.lowering.to_onnx import to_onnx
from sensemble_export.measuring.parity import measure
from sensemble_runtime.executors import executor
from sensemble_runtime.executors.native import NativeEncoder
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.infer_spec import small
from sensemble_train.models.kinds.registry import KINDS
from sensemble_train.models.places import SIZES
from torch import Tensor, nn
from torch.nn import functional

from tests.export.conftest import SPECS, make_model, windows


@pytest.mark.parametrize("modality", SPECS)
def test_a_rewritten_encoder_is_the_same_function(modality: str) -> None:
    encoder = make_model(3).encoders[modality]
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    rewritten = lowerable(encoder, int8=False)
    assert not any(isinstance(m, nn.LayerNorm | nn.BatchNorm1d | nn.BatchNorm2d) for m in rewritten.modules())
    rows = windows(modality, 8, seed=4)
    with torch.no_grad():
        found = torch.cat([rewritten(row) for row in rows.split(1)])
        torch.testing.assert_close(found, encoder(rows), atol=1e-5, rtol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_a_rewritten_encoder_of_places_is_the_same_function() -> None:
    """Its weights are copied for each size: a weight of two quantized layers would stay float."""
    torch.manual_seed(0)
    spec = InputSpec("video", "uint8", (1, 2, 48, 32, 3), 2.0, 1.0, 0.5, 2.0)
    config = EncoderConfig(width=32, depth=1, heads=2, embedding=16, sizes=SIZES)
    encoder = KINDS["frames"].encoder(spec, config)
    rows = torch.randint(0, 256, (8, *spec.shape[1:]), dtype=torch.uint8)
    encoder.train()(rows)  # statistics of batches that are not those at the start
    rewritten = lowerable(encoder.eval(), int8=False)
    with torch.no_grad():
        found = torch.cat([rewritten(row) for row in rows.split(1)])
        torch.testing.assert_close(found, encoder(rows), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("modality", SPECS)
def test_a_centred_encoder_is_the_same_function_and_int8_keeps_more_of_it(modality: str) -> None:
    from sensemble_export.lowering.to_executorch import quantize  # takes seconds

    trained, rows = make_model(3).encoders[modality], windows(modality, 16, seed=4)
    with torch.no_grad():  # what all windows share is large, and the BatchNorm has taken it away
        trained.get_submodule("trunk.blocks.0.mlp.2").bias[::2] += 20
        trained.get_submodule("trunk.spread").momentum = 1.0
        trained.train()(rows)
    encoder = lowerable(trained, int8=False)
    steady = centred(encoder, rows)

    def run(module: nn.Module) -> torch.Tensor:
        return torch.cat([module(row) for row in rows.split(1)])

    with torch.no_grad():
        expected = run(encoder)
        torch.testing.assert_close(run(steady), expected, atol=1e-5, rtol=1e-4)
        plain, better = (
            float((run(quantize(module, rows, "int8-dynamic")) - expected).square().mean())
            for module in (encoder, steady)
        )
    assert better < plain / 2


CLIP = EncoderConfig(
    width=32,
    depth=1,
    heads=2,
    embedding=16,
    patch=8,
    vocabulary=64,
    activation="quick_gelu",
    clip=True,
    spread=False,
)
MASKED = replace(CLIP, embedding=32, activation="gelu", clip=False, project=False, sinusoidal=True)


@pytest.mark.parametrize("config", [CLIP, MASKED])
@pytest.mark.parametrize("modality", ["text", "video"])
def test_the_papers_encoders_are_rewritten_and_lower_to_one_subgraph(
    modality: str, config: EncoderConfig
) -> None:
    from sensemble_export.lowering.to_executorch import lower

    torch.manual_seed(0)
    encoder = KINDS[SPECS[modality].kind].encoder(SPECS[modality], config).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        rewritten, rows = lowerable(encoder, int8=False), windows(modality, 8, seed=4)
        found = torch.cat([rewritten(row) for row in rows.split(1)])
        torch.testing.assert_close(found, encoder(rows), atol=1e-5, rtol=1e-4)
    if config.clip:  # the other has nothing that those above lack
        assert lower(rewritten, rows[:1]).delegation.subgraphs == 1


def test_an_empty_caption_has_a_finite_embedding() -> None:
    encoder = make_model(3).encoders["text"]
    with torch.no_grad():
        for module in (encoder, lowerable(encoder, int8=True)):
            assert module(torch.zeros(1, 8, dtype=torch.long)).isfinite().all()


@settings(max_examples=30)
@given(
    rows=st.integers(1, 20), width=st.integers(1, 20), scale=st.floats(1e-6, 1e4), seed=st.integers(0, 1000)
)
def test_an_int8_table_is_within_half_a_step(rows: int, width: int, scale: float, seed: int) -> None:
    torch.manual_seed(seed)
    table = nn.Embedding(rows, width)
    with torch.no_grad():
        table.weight.mul_(scale)
        table.weight[0] = 0
    ids = torch.arange(rows)
    step = table.weight.detach().abs().amax(dim=1, keepdim=True) / 127
    error = (Int8Embedding(table)(ids) - table(ids)).abs()
    assert (error <= 0.501 * step).all()


def test_a_program_that_does_not_run_says_why(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"^bad\.pte: does not run in the runtime"):
        measure({"": b"not a program"}, "bad.pte", "executorch-xnnpack", tmp_path / "windows.safetensors")


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
    from sensemble_export.lowering.to_executorch import lower, quantize

    torch.manual_seed(0)
    config = replace(small({spec.modality: spec})[spec.modality], depth=1, scales=scales)
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
    for graph in (plain, quantized) if spec.modality == "imu" else (quantized,):
        delegation = lower(graph, windows[:1]).delegation
        assert (delegation.subgraphs, delegation.remaining) == (1, {})


def test_quantized_pictures_run_as_one_subgraph(tmp_path: Path) -> None:
    from sensemble_export.lowering.to_executorch import to_executorch

    torch.manual_seed(0)
    spec = InputSpec("video", "uint8", (1, 4, 32, 32, 3), 4, 1.0, 0.5, 2.0)
    encoder = KINDS["frames"].encoder(spec, small({"video": spec})["video"])
    pictures = functional.interpolate(255 * torch.rand(12, 3, 4, 4), (32, 32))
    rows = pictures.permute(0, 2, 3, 1)[:, None].repeat(1, 4, 1, 1, 1).to(torch.uint8)
    encoder(rows)  # for its batch norms
    encoder.eval()
    lowered = to_executorch(encoder, rows, "int8-dynamic")
    assert lowered.delegation is not None
    assert lowered.delegation.subgraphs == 1
    executor.write(lowered.files, tmp_path / "it.pte")
    run = executor.load(tmp_path / "it.pte", "executorch-xnnpack", 1)
    ran = torch.from_numpy(np.stack([run(row.numpy()) for row in rows.split(1)]))
    assert torch.cosine_similarity(ran, encoder(rows)).min() > 0.98


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
        from sensemble_export.lowering.to_executorch import lower, quantize

        lowered = lower(quantize(encoder, seen, "int8-static"), rows[:1])
        assert lowered.delegation.subgraphs == 1
        run = NativeEncoder(Path("encoder.pte"), lowered.files, 1)
    found = torch.from_numpy(np.stack([run(row.numpy()).reshape(-1) for row in held_out.split(1)]))
    expected = torch.cat([encoder(row) for row in held_out.split(1)])
    common = expected.mean(dim=0)
    # With what is cut off in the ranges, it is 0.93 and 0.92.
    assert functional.cosine_similarity(found - common, expected - common).mean() > 0.95
