"""Tests of the choice of examples for pretraining, training and distillation, and that there are enough."""

from dataclasses import replace
from pathlib import Path

import pytest
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import RANDOM, Experiment
from sensemble_train.experiments.matrix import check, choose
from sensemble_train.experiments.models import CLIP_B16
from sensemble_train.recipe.examples import read
from sensemble_train.recipe.methods import PretrainConfig

from tests.train.tiny import dark_and_bright, write_index


def example(number: int, split: str, modalities: str = "avt") -> Example:
    media = Path("x.mkv")
    return Example(
        id=str(number),
        split=split,
        labels=() if split == "pretrain" else (("dark", "bright")[number % 2],),
        values={
            m: "words" if m == "text" else media for m in ("audio", "text", "video") if m[0] in modalities
        },
        line=number + 1,
    )


def dataset(pretrain: int = 6, train: int = 10) -> Dataset:
    splits = ["pretrain"] * pretrain + ["train"] * train + ["eval"] * 4
    return Dataset(Path("data"), tuple(example(i, split) for i, split in enumerate(splits)))


def wanted(config: Experiment, data: Dataset) -> list[tuple[str, ...]]:
    return check(config, data, choose(config, data)["train"])


def test_what_is_distilled_on_has_no_labels_wherever_it_comes_from(tmp_path: Path) -> None:
    """With labels, it would be mixed by mixup where it is held out, and not where it is not."""
    write_index(tmp_path, dark_and_bright(tmp_path))
    for config in (Experiment("data", held_out=0.4), Experiment("data", distill_data=str(tmp_path))):
        chosen = choose(config, dataset())
        assert len(chosen["distill"]) >= 4
        assert not any(e.labels for e in (*chosen["distill"], *chosen["pretrain"]))
        assert all(e.labels for e in chosen["train"])
    assert "distill" not in choose(Experiment("data"), dataset())


def test_what_is_held_out_is_not_trained_on() -> None:
    chosen = choose(Experiment("data", held_out=0.4), dataset())
    held, kept = ({e.id for e in chosen[what]} for what in ("distill", "train"))
    assert (len(held), len(kept), len(held | kept)) == (4, 6, 10)
    assert {e.id for e in choose(Experiment("data", held_out=0.4, seed=1), dataset())["distill"]} != held


def test_what_is_chosen_by_is_neither_trained_on_nor_reported(tmp_path: Path) -> None:
    """The whole way from an index without `calibrate`: six of 20 examples, whatever is held out besides."""
    lines = [{"split": split, "labels": ["a"], "text": "w"} for split in ["train"] * 20 + ["eval"] * 5]
    write_index(tmp_path, [{**line, "group": str(i)} for i, line in enumerate(lines)])
    config = Experiment(str(tmp_path), held_out=0.4)
    chosen = {what: {e.id for e in found} for what, found in choose(config, read(config.data)).items()}
    assert len(chosen["calibrate"]) == 6
    assert chosen["pretrain"] == chosen["train"] | chosen["distill"]
    assert len(chosen["pretrain"] | chosen["calibrate"]) == 20
    assert not chosen["calibrate"] & (chosen["pretrain"] | chosen["eval"])


def test_where_train_is_too_small_to_spare_some_it_is_chosen_by() -> None:
    chosen = choose(Experiment("data"), dataset())
    assert chosen["calibrate"] == chosen["train"]


def test_too_little_to_distil_on_is_refused() -> None:
    """An empty D_SD would make MASD finetuning, without a word."""
    with pytest.raises(ConfigurationError, match=r"--held-out 0\.1: 1 of the 1 examples"):
        choose(Experiment("data", held_out=0.1), dataset())
    half = dataset()
    untold = [e.only(("audio", "video")) for e in half.examples if e.split == "train"]
    half = replace(half, examples=(*untold, *dataset(train=0).examples))
    with pytest.raises(ConfigurationError, match=r"0 of the 4 .* have all of audio\+text"):
        choose(Experiment("data", held_out=0.4), half)
    with pytest.raises(ConfigurationError, match="add some, or choose fewer"):
        wanted(Experiment("data", held_out=0.9), dataset())


def test_encoders_that_know_nothing_are_not_probed_unless_asked_to() -> None:
    nothing = Experiment("data", pretrain=PretrainConfig(steps=0))
    clip = Experiment("data", model=CLIP_B16)
    for config, remedy in ((nothing, "pretrains nothing; give the pretrained/"), (clip, r"ViT-B-16\.pt")):
        with pytest.raises(ConfigurationError, match=rf"^--initialize: .*{remedy}"):
            wanted(config, dataset())
        assert wanted(replace(config, initialize=RANDOM), dataset()) == [("video",)]
    assert wanted(Experiment("data"), dataset()) == [("video",)]
