"""A number that cannot be is refused where the configuration is made, in one line that names its flag."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import Experiment, read_experiment
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.recipe.config import Config, claim, read_config
from sensemble_train.recipe.methods import FinetuneConfig, PretrainConfig, ProbeConfig
from sensemble_train.training.scale import ScaleConfig

WRONG: dict[str, Callable[[], object]] = {
    "--probe.batch: expected an integer of 1 or more, got 0": lambda: ProbeConfig(batch=0),
    "--probe.temperature: expected a number from 1 to 100, got 0.5": lambda: ProbeConfig(temperature=0.5),
    "--finetune.learning-rate: expected a number of 0 or more": lambda: FinetuneConfig(
        learning_rate=float("nan")
    ),
    "--alpha: expected a number from 0 to 1, got 7": lambda: Experiment("", alpha=7),
    "--model.width: expected a multiple of 12, got 20": lambda: ModelConfig(width=20, heads=3),
    "--augment.time: expected": lambda: AugmentConfig(time=-5),
    "--augment.hue: expected": lambda: AugmentConfig(hue=0.6),
    "--scale.save-every: expected": lambda: ScaleConfig(save_every=-1),
    "--model.side: expected a multiple of 16, got 40": lambda: ModelConfig(side=40),
    "--model.frames, --model.side, --model.seconds: vit_b16 needs its own": lambda: ModelConfig(
        name="vit_b16", side=224, seconds=8
    ),
    "--distill: expected an integer of 2 or more, got 1": lambda: Config("", distill=1),
    "--train-modalities: name sets": lambda: Config("", train_modalities=()),
    "--held-out 0 to draw it from the other": lambda: Experiment("", distill_data="x", held_out=0.2),
}


@pytest.mark.parametrize("line", WRONG)
def test_what_cannot_be_is_refused_by_its_flag(line: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WRONG[line]()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_goes_on_with_other_encoders_is_told_how_to_name_its_own(tmp_path: Path) -> None:
    claim(tmp_path, Config("data"))
    with pytest.raises(ConfigurationError, match="by --encoder and --from-scratch"):
        claim(tmp_path, Config("data", encoders={"audio": "whisper-tiny.en"}))


def test_only_the_settings_that_differ_are_named(tmp_path: Path) -> None:
    claim(tmp_path, Config("data", pretrain=PretrainConfig(steps=7)))
    with pytest.raises(ConfigurationError) as caught:
        claim(tmp_path, Config("data", pretrain=PretrainConfig(steps=8)))
    assert "(pretrain.steps was 7, is 8)" in str(caught.value)


def test_what_ships_goes_on_as_an_experiment_and_an_experiment_survives_its_file(tmp_path: Path) -> None:
    plain = Config("data", seed=3, pretrain=PretrainConfig(steps=7))
    claim(tmp_path / "plain", plain)
    found = read_experiment(tmp_path / "plain/config.json")
    assert (found.seed, found.pretrain.steps, found.alpha) == (3, 7, 0.75)
    own = Experiment("data", held_out=0.2, alpha=0.5)
    claim(tmp_path / "own", own)
    assert read_experiment(tmp_path / "own/config.json") == own


def test_a_run_from_before_a_setting_of_scale_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    claim(tmp_path, Config("x"))
    before = path.read_text()
    path.write_text(before.replace('"shard": false,', ""))
    assert len(path.read_text()) < len(before)
    assert read_config(path, Config) == Config("x")


@pytest.mark.parametrize("data", [b"\xff", b"[" * 100_000, b""])
def test_a_damaged_file_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.json"
    claim(tmp_path, Config("x"))
    path.write_bytes(data or path.read_bytes().replace(b'"video"', b""))
    with pytest.raises(ConfigurationError, match=rf"^{re.escape(str(path))}: "):
        read_config(path, Config)
