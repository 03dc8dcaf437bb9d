"""Tests of the initial encoders of a run: those of a saved model, if they are as the configuration says."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_sensors.media.dataset import Dataset, read_dataset
from sensemble_train.distributed import alone
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import RANDOM, Experiment
from sensemble_train.experiments.models import CLIP_B16, MAE_B16, VIT_B16, new_model
from sensemble_train.models.model import Model, load_model, save_model
from sensemble_train.models.model_config import ModelConfig

from tests.train.openai_clip import MERGES
from tests.train.tiny import dark_and_bright, write_index

SIZES = {"width": 32, "depth": 2, "heads": 2, "text_heads": 2, "embedding": 32, "side": 32, "seconds": 0.5}


def tiny(shape: ModelConfig) -> ModelConfig:
    return replace(shape, **SIZES, frames=2, tokens=8)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("clips")
    return read_dataset(write_index(folder, dark_and_bright(folder)))


def begun(dataset: Dataset, config: Experiment) -> Model:
    torch.manual_seed(0)
    return new_model(config, dataset, alone())[0]


def saved(dataset: Dataset, config: Experiment, folder: Path) -> str:
    save_model(begun(dataset, config), folder)
    return str(folder)


def same(a: Model, b: Model) -> bool:
    theirs = b.encoders.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.encoders.state_dict().items())


@pytest.mark.parametrize(
    "shape", [ModelConfig(), tiny(replace(MAE_B16, vocabulary=300))], ids=["small", "paper"]
)
def test_encoders_of_masked_autoencoding_are_taken_as_such_only(
    shape: ModelConfig, dataset: Dataset, tmp_path: Path
) -> None:
    """Otherwise the config.json of a run that begins with them would call it contrastive."""
    masked = Experiment("", model=shape, objective="mae")
    again = replace(masked, initialize=saved(dataset, masked, tmp_path))
    assert same(begun(dataset, again), load_model(tmp_path))
    other = shape if shape.name == "small" else tiny(CLIP_B16)
    with pytest.raises(ConfigurationError, match="has shared 1, the configuration says 0"):
        begun(dataset, replace(again, model=other, objective="contrastive"))


def test_another_shape_is_refused_but_other_paths_may_be_dropped(dataset: Dataset, tmp_path: Path) -> None:
    shape = tiny(replace(VIT_B16, vocabulary=300))
    folder = saved(dataset, Experiment("", model=shape), tmp_path)
    config = Experiment("", model=replace(shape, drop_path=0.0), initialize=folder)
    model = begun(dataset, config)
    assert same(model, load_model(tmp_path))
    assert {c.drop_path for c in model.description.configs.values()} == {0.0}
    for wrong, line in (({"depth": 1}, "depth 2, .* says 1"), ({"side": 16}, r"video has shape .*32.*16")):
        with pytest.raises(ConfigurationError, match=line):
            begun(dataset, replace(config, model=replace(shape, **wrong)))  # type: ignore[arg-type]


def test_fewer_words_than_clip_has_are_refused(dataset: Dataset) -> None:
    shape = tiny(replace(CLIP_B16, vocabulary=300))
    with pytest.raises(ConfigurationError, match=r"--model\.vocabulary 300: .* need 49408"):
        begun(dataset, Experiment("", model=shape, initialize=RANDOM, merges=str(MERGES)))


def test_the_task_is_derived_or_said(dataset: Dataset) -> None:
    task = begun(dataset, Experiment("", task="multi-label")).description.task
    assert (begun(dataset, Experiment("")).description.task, task) == ("multi-class", "multi-label")
    both = [replace(e, labels=("bright", "dark")) if e.labels else e for e in dataset.examples]
    several = replace(dataset, examples=tuple(both))
    assert begun(several, Experiment("")).description.task == "multi-label"
    with pytest.raises(ConfigurationError, match=r"--task multi-class: .* bright, dark"):
        begun(several, Experiment("", task="multi-class"))


def test_small_models_take_the_sizes_that_are_said(dataset: Dataset) -> None:
    sizes = ModelConfig(frames=2, side=48, seconds=0.25, tokens=9)
    specs = begun(dataset, Experiment("", model=sizes)).description.specs
    shapes = {"audio": (1, 4000), "text": (1, 9), "video": (1, 2, 48, 48, 3)}
    assert {m: spec.shape for m, spec in specs.items()} == shapes
