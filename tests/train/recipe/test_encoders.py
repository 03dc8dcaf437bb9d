"""Runs with pretrained encoders: from a name or a function of one's own to the matrix."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import experiment_of
from sensemble_train.models.model import load_model
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.models.pretrained.sources import load
from sensemble_train.recipe import recipe
from sensemble_train.recipe.config import Config, read_config
from sensemble_train.recipe.methods import FinetuneConfig, PretrainConfig, ProbeConfig

from tests.train.tiny import Frozen, dark_and_bright, write_index

ENCODERS = {"audio": "whisper-tiny.en", "text": "minilm", "video": "tests.train.tiny:own"}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    folder = tmp_path_factory.mktemp("clips")
    write_index(folder, dark_and_bright(folder))
    few = FinetuneConfig(steps=2, batch=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Config(
            str(folder),
            ("video",),
            encoders=ENCODERS,
            pretrain=PretrainConfig(steps=2, batch=8),
            probe=ProbeConfig(steps=5),
            finetune=few,
        )


def test_a_run_trains_adapters_alone_and_another_seed_embeds_nothing(config: Config, tmp_path: Path) -> None:
    matrix = recipe.run(config, tmp_path / "a")
    assert matrix["subset"]["video"].keys() >= {"audio", "text", "video", "audio+text+video"}
    with safe_open(tmp_path / "a/pretrained/weights.safetensors", "pt") as file:
        names = set(file.keys())
    assert {name.split(".")[2] for name in names if name.startswith("encoders.")} == {"adapter"}
    assert read_config(tmp_path / "a/config.json", Config) == config
    model = load_model(tmp_path / "a/pretrained").train()
    whisper = model.encoders["audio"]
    assert isinstance(whisper, Pretrained)
    assert whisper.pretrained is load_model(tmp_path / "a/models/subset/video").encoders["audio"].pretrained
    assert not any(p.requires_grad for p in whisper.pretrained.parameters())
    assert not whisper.pretrained.training
    weights = {name: value.clone() for name, value in whisper.pretrained.state_dict().items()}
    assert model.description.specs["text"].shape == (1, 32)
    assert model.tokenizer is not None
    assert model.tokenizer.encode("word").tokens == ["[CLS]", "word", "[SEP]"]
    before = Frozen.read
    recipe.run(replace(config, seed=1), tmp_path / "b")
    looks = Frozen.read - before
    assert looks < 20 + 400, "backgrounds are drawn anew; of the clips, nothing is read again"
    assert all(torch.equal(value, weights[name]) for name, value in whisper.pretrained.state_dict().items())


def test_unfrozen_blocks_learn_and_are_saved_and_no_others_change(config: Config, tmp_path: Path) -> None:
    """A saved model holds what its source does not have."""
    recipe.run(replace(config, unfrozen={"text": 2}), tmp_path / "run")
    model = load_model(tmp_path / "run/models/subset/video")
    before = load("minilm", model.description.specs["text"]).state_dict()
    learned = model.encoders["text"]
    assert isinstance(learned, Pretrained)
    changed = {
        name.split(".")[1]
        for name, value in learned.pretrained.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"4", "5"}, "the last two of MiniLM's six blocks"
    ids = torch.tensor([model.tokenizer.encode("a word").ids + [0] * 28]) if model.tokenizer else None
    assert ids is not None
    with torch.no_grad():
        assert torch.equal(model.front({"text": ids})["text"], ids)
        assert not torch.equal(learned.pretrained(ids), load("minilm", model.description.specs["text"])(ids))


@pytest.mark.parametrize(
    ("unfrozen", "message"),
    [
        ({"text": 7}, "--unfreeze 7: minilm has 6 blocks; give fewer, or `all`"),
        (
            {"smell": 1},
            "--unfreeze smell: its encoder learns from scratch; name a pretrained",
        ),
    ],
)
def test_blocks_that_are_not_there_are_refused(
    config: Config, tmp_path: Path, unfrozen: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        recipe.run(replace(config, unfrozen=unfrozen), tmp_path / "run")


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({"video": "whisper-tiny.en"}, "--encoder video=whisper-tiny.en: it reads waveform"),
        ({"smell": "minilm"}, "--encoder smell=minilm: .* has audio, text, video"),
        ({"audio": "whisper"}, "--encoder audio=whisper: give whisper-tiny.en, .*package.module:factory"),
        ({"audio": "no.such:thing"}, "--encoder audio=no.such:thing: No module named 'no'"),
        ({"audio": "tests.train.tiny:none"}, "--encoder audio=tests.train.tiny:none: .*name a function"),
        ({"audio": "hf:/nowhere"}, "/nowhere/config.json: cannot be read"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused(
    config: Config, tmp_path: Path, encoders: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        recipe.run(replace(config, encoders=encoders), tmp_path / "run")


def test_the_paper_s_models_take_no_pretrained_encoder(config: Config) -> None:
    paper = experiment_of(config)
    with pytest.raises(ConfigurationError, match=r"--encoders: .* take the model `small`"):
        replace(paper, model=ModelConfig(name="vit_b16", frames=8, side=224, seconds=8.0))
