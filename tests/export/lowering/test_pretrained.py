"""Pretrained encoders become one XNNPACK subgraph each, also those that somebody else wrote."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sensemble_export.lowering.rewrite import centred, lowerable
from sensemble_runtime.bundle.manifest import Scheme
from sensemble_runtime.executors.native import NativeEncoder
from sensemble_sensors.spec import InputSpec
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.pretrained.bert import Bert
from sensemble_train.models.pretrained.efficientnet import EfficientNet
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.models.pretrained.whisper import Whisper
from torch import Tensor, nn
from torch.nn import functional

from tests.train.models.pretrained.test_bert import torch_s_bert
from tests.train.models.pretrained.test_whisper import openai

SPECS = {
    "waveform": InputSpec("audio", "float32", (1, 8000), 16000, 0.5, 0.5, 1.0),
    "frames": InputSpec("video", "uint8", (1, 2, 64, 64, 3), 4.0, 0.5, 0.5, 1.0),
    "text": InputSpec("text", "int64", (1, 8), 0, 0.0, 0.0, 1.0),
}
OUTSIDE = {"aten.clamp.default", "aten.embedding.default", "dim_order_ops._to_dim_order_copy.default"}
"""Integers, which XNNPACK has not: token ids, and a camera's bytes before they become numbers."""
COUNT = 12


def whisper(spec: InputSpec) -> nn.Module:
    return Whisper(openai(depth=1), spec.shape[1])


def efficientnet(_: InputSpec) -> nn.Module:
    import timm  # it takes 3 s

    torch.manual_seed(0)
    return EfficientNet(timm.create_model("tf_efficientnet_lite0").state_dict())


def bert(spec: InputSpec) -> nn.Module:
    return Bert(torch_s_bert(depth=1)[0], 3, spec.shape[1])


class Own(nn.Module):
    """A transformer that knows nothing of Sensemble: layer norms without affine parts, and a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Linear(400, 48), nn.BatchNorm1d(48, affine=False)
        self.inside = nn.LayerNorm(48, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.LayerNorm(48), nn.Linear(48, 96), nn.GELU(), nn.Linear(96, 48))

    def forward(self, wave: Tensor) -> Tensor:
        """Map [B, 8000] to [B, 960]."""
        x = self.norm(self.patches(wave.view(-1, 400))).view(-1, 20, 48)
        x = x + self.mlp(self.inside(x))
        return x.reshape(len(wave), 960)


def own(_: InputSpec) -> nn.Module:
    torch.manual_seed(0)
    return Own()


def windows(spec: InputSpec) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    shape = (COUNT, *spec.shape[1:])
    if spec.kind == "waveform":
        return 0.1 * torch.randn(shape, generator=draw) * torch.rand(COUNT, 1, generator=draw)
    if spec.kind == "frames":
        colours = 255 * torch.rand(COUNT, 1, 1, 1, 3, generator=draw)
        shade = torch.rand(COUNT, 1, 1, 1, 1, generator=draw) * torch.linspace(0, 1, 64)[:, None]
        return (colours * (1 - shade)).to(torch.uint8).expand(shape).clone()
    return torch.randint(1, 50, shape, generator=draw) * (torch.arange(8) < torch.arange(COUNT)[:, None] + 1)


@pytest.mark.parametrize(
    ("factory", "kind", "scheme", "least"),
    [
        pytest.param("efficientnet", "frames", "fp32", 0.9999, marks=pytest.mark.real),
        pytest.param("bert", "text", "fp32", 0.9999, marks=pytest.mark.real),
        ("own", "waveform", "fp32", 0.9999),
        ("whisper", "waveform", "int8-dynamic", 0.98),
    ],
)
@torch.no_grad()
def test_it_is_one_subgraph_of_the_same_function(
    factory: str, kind: str, scheme: Scheme, least: float
) -> None:
    from sensemble_export.lowering.to_executorch import (  # only its worker waits for ExecuTorch
        lower,
        quantize,
    )

    encoder, rows = trained(factory, kind)
    module = lowerable(encoder, int8=scheme != "fp32")
    if scheme != "fp32":
        module = quantize(centred(module, rows), rows, scheme)
    lowered = lower(module, rows[:1])
    assert lowered.delegation.subgraphs == 1
    assert lowered.delegation.remaining.keys() <= OUTSIDE
    run = NativeEncoder(Path("encoder.pte"), lowered.files, 1)
    found = torch.from_numpy(np.stack([run(row.numpy()).reshape(-1) for row in rows.split(1)]))
    assert functional.cosine_similarity(found, encoder(rows)).min() >= least


@torch.no_grad()
def trained(factory: str, kind: str) -> tuple[Pretrained, Tensor]:
    """An encoder whose adapter has the statistics of some windows, and these."""
    spec = SPECS[kind]
    encoder, rows = (
        Pretrained(spec, EncoderConfig(8, 1, 1, 16, source=f"{__name__}:{factory}")),
        windows(spec),
    )
    features = encoder.front(rows)
    for _ in range(50):
        encoder.train().encode(features)
    return encoder.eval(), rows
