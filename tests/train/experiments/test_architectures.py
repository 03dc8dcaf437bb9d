"""The paper's models have Table 5's numbers of parameters."""

import pytest
import torch
from sensemble_train.experiments.config import MAEConfig
from sensemble_train.experiments.mae import MAE
from sensemble_train.experiments.models import CLIP_B16, MAE_B16, VIT_B16, paper_model
from sensemble_train.models.kinds import waveform
from sensemble_train.models.model import Model
from sensemble_train.models.model_config import ModelConfig
from torch import nn

AV, AVT = ("audio", "video"), ("audio", "text", "video")


@pytest.mark.parametrize(
    ("shape", "modalities", "millions"),
    [
        (MAE_B16, AV, 191), (VIT_B16, AV, 173), (CLIP_B16, AV, 172), (MAE_B16, AVT, 334), (VIT_B16, AVT, 297),
        (CLIP_B16, AVT, 236),
    ],
)  # fmt: skip
def test_the_presets_have_table_5s_parameters(
    shape: ModelConfig, modalities: tuple[str, ...], millions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waveform, "LogMel", nn.Identity)  # has no parameters, and needs real numbers
    with torch.device("meta"):
        model = Model(paper_model(shape, ("a", "b"), modalities), None)
        trained = MAE(model, MAEConfig()) if shape is MAE_B16 else model
    count = sum(p.numel() for name, p in trained.named_parameters() if "head." not in name)
    assert round(count / 1e6) == millions
