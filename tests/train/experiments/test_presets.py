"""The named experiments are the paper's, and survive their own file."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sensemble_train.experiments.config import MAEConfig
from sensemble_train.experiments.mae import MAE
from sensemble_train.experiments.models import CLIP_B16, MAE_B16, VIT_B16, paper_model
from sensemble_train.experiments.presets import EXPERIMENTS, audioset_contrastive, audioset_mae
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.kinds import waveform
from sensemble_train.models.model import Model
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.training.optim import Optimization, optimizer
from torch import nn

AUDIOSET, LABELLED = 1_743_790, 18_649  # App. B


def test_audioset_takes_the_papers_steps() -> None:
    """App. C: 54K steps of contrastive learning, 435K of MAE."""
    contrastive, mae = audioset_contrastive(""), audioset_mae("")
    assert round(contrastive.pretrain.length(AUDIOSET), -3) == 54_000
    assert mae.pretrain.length(AUDIOSET) // 1000 == 435
    assert contrastive.finetune.length(LABELLED) == 30 * (LABELLED // 128)
    assert mae.finetune.length(LABELLED) == 60 * (LABELLED // 64)


PAPERS = [name for name in EXPERIMENTS if not name.startswith("digits")]

TABLE_7 = {  # learning rate, global batch, warm-up, epochs
    "pretrain": {"contrastive": (8e-4, 1024, 1000, 32), "mae": (8e-4, 1024, 2000, 256)},
    "probe": {"contrastive": (1e-2, 256, 200, 360), "mae": (1e-2, 128, 200, 360)},
    "finetune": {"contrastive": (1e-4, 128, 1000, 30), "mae": (1e-4, 64, 2000, 60)},
}


@pytest.mark.parametrize("stage", TABLE_7)
@pytest.mark.parametrize("name", PAPERS)
def test_every_experiment_of_the_paper_has_table_7s_values(name: str, stage: str) -> None:
    config = EXPERIMENTS[name]("")
    settings = getattr(config, stage)
    rate, batch, warmup, epochs = TABLE_7[stage][config.objective]
    if stage == "pretrain" and not name.startswith("audioset"):
        epochs = 0  # they begin with encoders that are pretrained already (Sec. 5)
    assert (settings.learning_rate, settings.batch, settings.warmup) == (rate, batch, warmup)
    assert (settings.steps, settings.epochs) == (0, epochs)
    assert not settings.decay_vectors


def test_gains_biases_and_the_temperature_decay_only_where_they_are_asked_to() -> None:
    module = nn.ModuleDict({"linear": nn.Linear(4, 3), "norm": nn.LayerNorm(3)})
    module.register_parameter("log_scale", nn.Parameter(torch.zeros(1)))
    module.register_parameter("token", nn.Parameter(torch.zeros(1, 1, 3)))
    settings = Optimization(batch=1, learning_rate=0.1, weight_decay=0.5)
    (group,) = optimizer(module, settings).param_groups
    assert (len(group["params"]), group["weight_decay"]) == (6, 0.5)
    groups = optimizer(module, replace(settings, decay_vectors=False)).param_groups
    decayed = {group["weight_decay"]: group["params"] for group in groups}
    assert decayed[0.5] == [module["linear"].weight]
    assert len(decayed[0.0]) == 5


@pytest.mark.parametrize("name", PAPERS)
def test_every_experiment_of_the_paper_has_the_values_of_table_6_and_appendix_e(name: str) -> None:
    config = EXPERIMENTS[name]("")
    shape, augment = config.model, config.augment
    assert (shape.frames, shape.side, shape.seconds, shape.tokens) == (8, 224, 8.0, 60)
    clip = shape.name == "clip_b16"
    assert (shape.vocabulary, shape.depth) == (49408 if clip else 50262, 12)  # CLIP's text encoder as is
    assert (config.objective == "mae") == (shape.name == "mae_b16") != clip
    assert config.mae == MAEConfig(waveform=0.8, frames=0.9, repeats=2)
    assert shape.shared == 1
    if name == "imagenet_captions":  # "No other augmentations are used"
        assert (shape.drop_path, augment, config.sampling.zoom) == (0.0, AugmentConfig(), (1.0, 1.0))
        return
    assert (shape.drop_path, augment.mixup, augment.time, augment.bins) == (0.1, 0.5, 192, 48)
    deltas = augment.brightness, augment.contrast, augment.saturation, augment.hue
    assert deltas == (0.2, 0.1, 0.0, 0.025)
    assert config.sampling.stride == 32


@given(steps=st.integers(2, 500), warmup=st.integers(0, 100))
def test_the_rate_rises_to_its_highest_and_falls_to_nothing(steps: int, warmup: int) -> None:
    settings = Optimization(steps=steps, batch=1, learning_rate=0.5, warmup=warmup)
    rates = [settings.rate(step, steps) for step in range(steps)]
    rising = min(warmup, steps // 2)
    assert max(rates) == rates[rising] == 0.5
    assert rates[:rising] == sorted(rates[:rising])
    assert rates[rising:] == sorted(rates[rising:], reverse=True)
    falling = steps - rising
    for step, rate in enumerate(rates[rising:]):
        assert rate == pytest.approx(0.25 * (1 + math.cos(math.pi * step / falling)))
    assert rates[:rising] == pytest.approx([0.5 * (step + 1) / rising for step in range(rising)])


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
