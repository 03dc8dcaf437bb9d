"""Small encoders that learn from a trained model of larger ones."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_sensors import read_dataset
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.model import Model, load_model
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.recipe import recipe
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.examples import decoded
from sensemble_train.recipe.methods import FinetuneConfig, PretrainConfig, ProbeConfig
from torch.nn import functional

from tests.train.tiny import dark_and_bright, write_index


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A run of few steps, whose pictures a large encoder reads."""
    folder = tmp_path_factory.mktemp("clips")
    write_index(folder, dark_and_bright(folder))
    return Config(
        str(folder),
        ("video",),
        encoders={"video": "tests.train.tiny:own"},
        pretrain=PretrainConfig(steps=2, batch=8),
        probe=ProbeConfig(steps=5),
        finetune=FinetuneConfig(steps=2, batch=4),
    )


@pytest.fixture(scope="module")
def teacher(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher")
    recipe.run(config, out)
    return out / "models/subset/video"


def embedded(model: Model, config: Config) -> torch.Tensor:
    """Return the embeddings of the examples to report on, [M, N, d]; those that are absent mean nothing."""
    examples = read_dataset(config.data).split("eval")
    features = decoded(config, model, "eval", examples, lambda _: lambda *_: None)
    with torch.no_grad():
        return torch.stack(list(model.embed(features.inputs).values()))


@pytest.mark.real
def test_small_encoders_embed_as_the_teachers_do_and_take_no_specialists(
    config: Config, teacher: Path, tmp_path: Path
) -> None:
    def likeness(steps: int) -> float:
        own = replace(config.pretrain, steps=steps)
        small = replace(config, encoders={}, teacher=str(teacher), pretrain=own)
        matrix = recipe.run(small, tmp_path / str(steps))
        assert {"video", "audio+text+video"} <= matrix["subset"]["video"].keys()
        student = load_model(tmp_path / str(steps) / "pretrained")
        goal = embedded(load_model(teacher), config)
        return functional.cosine_similarity(embedded(student, small), goal, dim=-1).mean().item()

    assert likeness(60) > likeness(0) + 0.1
    assert not (tmp_path / "60" / "specialists").exists()
    assert not (tmp_path / "60" / "models" / "masd").exists()


def test_a_teacher_of_other_embeddings_is_refused(config: Config, teacher: Path, tmp_path: Path) -> None:
    small = replace(config, encoders={}, teacher=str(teacher), model=ModelConfig(embedding=64))
    with pytest.raises(ConfigurationError, match=r"size of an embedding is 128, and .* 64;"):
        recipe.run(small, tmp_path / "run")
