"""The named experiments are the paper's, and survive their own file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_train.config import claim, read_config
from sensemble_train.experiments import EXPERIMENTS, audioset_contrastive, audioset_mae
from sensemble_train.schedule import Optimization

AUDIOSET, LABELLED = 1_743_790, 18_649  # App. B


def test_audioset_takes_the_papers_steps() -> None:
    """App. C: 54K steps of contrastive learning, 435K of MAE."""
    contrastive, mae = audioset_contrastive(""), audioset_mae("")
    assert round(contrastive.pretrain.length(AUDIOSET), -3) == 54_000
    assert mae.pretrain.length(AUDIOSET) // 1000 == 435
    assert contrastive.finetune.length(LABELLED) == 30 * (LABELLED // 128)
    assert mae.finetune.length(LABELLED) == 60 * (LABELLED // 64)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_run_folder_says_what_it_is(name: str, tmp_path: Path) -> None:
    config = EXPERIMENTS[name]("data")
    claim(tmp_path / "run", config)
    assert read_config(tmp_path / "run" / "config.json") == config


@given(steps=st.integers(2, 500), warmup=st.integers(0, 100))
def test_the_rate_rises_to_its_highest_and_falls_to_nothing(steps: int, warmup: int) -> None:
    settings = Optimization(steps=steps, batch=1, learning_rate=0.5, warmup=warmup)
    rates = [settings.rate(step, steps) for step in range(steps)]
    rising = min(warmup, steps // 2)
    assert max(rates) == rates[rising] == 0.5
    assert rates[:rising] == sorted(rates[:rising])
    assert rates[rising:] == sorted(rates[rising:], reverse=True)
    assert 0 < rates[-1] <= rates[rising]
