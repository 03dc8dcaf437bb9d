"""Steps follow the data, and an estimate times real ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_train.data.trainable import most_labelled, unlabelled
from sensemble_train.digits.plan import DigitsConfig
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.objectives.objective import Backgrounds
from sensemble_train.recipe.config import Config, derived
from sensemble_train.recipe.estimate import estimate
from sensemble_train.recipe.examples import SYNTHETIC
from sensemble_train.recipe.methods import FinetuneConfig, PretrainConfig
from torch import Tensor

from tests.train.tiny import Line, dark_and_bright, write_index


def dataset(**counts: int) -> Dataset:
    """A dataset of so many captions in each split, those of `train` and `eval` labelled."""
    examples = [
        Example(f"{split}{i}", split, () if split == "pretrain" else ("one",), {"text": "t"}, line=1)
        for split, count in counts.items()
        for i in range(count)
    ]
    return Dataset(Path("x"), tuple(examples))


def test_data_of_the_size_of_digits_takes_the_default_steps_and_many_labels_seven_passes() -> None:
    config, digits = Config("x"), DigitsConfig()
    counts = {split: count * dict(digits.renderings)[split] for split, count in digits.pictures}
    assert derived(config, dataset(**counts)) == config
    assert derived(config, dataset(**counts | {"train": 700})) != config
    assert derived(config, dataset(pretrain=9000, train=2000)) == config
    more = replace(config.finetune, steps=round(7 * 5000 / 32))
    assert derived(config, dataset(pretrain=9000, train=5000)) == replace(config, finetune=more)


def test_fewer_examples_take_fewer_steps_but_are_seen_more_often() -> None:
    config = Config("x")
    steps = [
        (found.pretrain.steps, found.finetune.steps)
        for found in (derived(config, dataset(pretrain=n, train=n)) for n in (1, 33, 120, 500))
    ]
    assert steps == sorted(steps)
    assert steps[0] == (20, 20), "the fewest"
    assert all(a < config.pretrain.steps and b < config.finetune.steps for a, b in steps)
    epochs = [b * config.finetune.batch / n for (_, b), n in zip(steps, (1, 33, 120, 500), strict=True)]
    assert epochs == sorted(epochs, reverse=True)
    half = derived(config, dataset(pretrain=500, train=500), effort=0.5)
    assert half.pretrain.steps == pytest.approx(steps[3][0] / 2, abs=1)
    assert half.probe.steps == config.probe.steps // 2


def test_clips_with_labels_are_pretrained_on_where_few_have_none() -> None:
    assert len(unlabelled(dataset(pretrain=2250, train=794))) == 2250
    assert len(unlabelled(dataset(pretrain=20, train=100))) == 120, "the short rests of takes, say"
    assert len(unlabelled(dataset(train=100))) == 100


def test_labels_are_for_the_sensors_that_most_labelled_examples_have() -> None:
    few = dataset(train=3, pretrain=5, eval=9)
    seen = tuple(
        replace(e, values={"video": Path("v"), "audio": Path("v")}, kinds={}) for e in few.examples[:2]
    )
    assert most_labelled(few) == ("text",)
    assert most_labelled(replace(few, examples=(*seen, *few.examples[2:]))) == ("audio", "video")
    assert most_labelled(dataset(pretrain=3)) == ()


def test_an_estimate_times_each_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reported, with_backgrounds = [""], set()
    forward = Backgrounds.forward

    def noted(self: Backgrounds, *arguments: Any) -> Tensor:  # noqa: ANN401
        with_backgrounds.add(reported[-1])
        return forward(self, *arguments)

    monkeypatch.setattr(Backgrounds, "forward", noted)
    lines = dark_and_bright(tmp_path)
    nothing: list[Line] = [{"split": "train", "labels": [], "background": True, "text": "a cat"}] * 2
    folder = write_index(tmp_path, lines + nothing)
    config = Config(
        str(folder),
        ("video", "audio+text+video"),
        model=ModelConfig(width=16, depth=1, heads=2, text_heads=2, embedding=8, vocabulary=300),
        pretrain=PretrainConfig(steps=1000, batch=6),
        finetune=FinetuneConfig(steps=500, batch=3),
    )
    before = sorted(tmp_path.rglob("*"))
    found = estimate(config, lambda stage, *_: reported.append(stage))
    assert {"pretrain", "subset video"} <= with_backgrounds
    assert [(stage.name, stage.steps) for stage in found] == [
        ("decode", 8 + 4 + 4 + 4),
        ("backgrounds", 2 + SYNTHETIC),
        ("pretrain", 1000),
        ("masd video", 500),
        ("subset video", 500),
        *((f"specialist {m}", 500) for m in ("audio", "text", "video")),
        ("subset audio+text+video", 500),
        ("score", 2 * (4 + 4)),
    ]
    assert all(stage.seconds == stage.steps * stage.step_seconds > 0 for stage in found)
    assert sorted(tmp_path.rglob("*")) == before
    assert len(read_dataset(folder).examples) == 18
