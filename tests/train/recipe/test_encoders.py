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

from tests.train.tiny import MeanAndDeviation, dark_and_bright, write_index

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


@pytest.mark.real
def test_a_run_trains_adapters_and_unfrozen_blocks_alone_and_another_seed_embeds_nothing(
    config: Config, tmp_path: Path
) -> None:
    """A saved model holds what its source does not have."""
    config = replace(config, unfrozen={"text": 2})
    matrix = recipe.run(config, tmp_path / "a")
    assert matrix["subset"]["video"].keys() >= {"audio", "text", "video", "audio+text+video"}
    with safe_open(tmp_path / "a/pretrained/weights.safetensors", "pt") as file:
        saved = {name.split(".")[1:3][-1] for name in file.keys() if name.startswith("encoders.audio")}  # noqa: SIM118
    assert saved == {"adapter"}
    assert read_config(tmp_path / "a/config.json", Config) == config
    model = load_model(tmp_path / "a/models/subset/video").train()
    whisper, minilm = model.encoders["audio"], model.encoders["text"]
    assert isinstance(whisper, Pretrained)
    assert whisper.pretrained is load_model(tmp_path / "a/pretrained").encoders["audio"].pretrained
    assert not any(p.requires_grad for p in whisper.pretrained.parameters())
    assert not whisper.pretrained.training
    spec = model.description.specs["text"]
    assert spec.shape == (1, 32)
    assert model.tokenizer is not None
    assert model.tokenizer.encode("word").tokens == ["[CLS]", "word", "[SEP]"]
    before = load("minilm", spec).state_dict()
    assert isinstance(minilm, Pretrained)
    learned = minilm.pretrained.state_dict().items()
    changed = {name.split(".")[1] for name, value in learned if not torch.equal(value, before[name])}
    assert changed == {"4", "5"}, "the last two of MiniLM's six blocks"
    ids = torch.tensor([model.tokenizer.encode("a word").ids + [0] * 28])
    assert torch.equal(model.front({"text": ids})["text"], ids)
    read = MeanAndDeviation.read
    recipe.run(replace(config, seed=1, encoders={"video": ENCODERS["video"]}, unfrozen={}), tmp_path / "b")
    assert MeanAndDeviation.read - read < 20 + 400, (
        "backgrounds are drawn anew; of the clips, nothing is read again"
    )


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
        ({"text": "hf:/nowhere"}, "/nowhere/tokenizer.json: cannot be read"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused(
    config: Config, tmp_path: Path, encoders: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        recipe.run(replace(config, encoders=encoders), tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists(), "the command, mended, goes on in the folder"


def test_the_paper_s_models_take_no_pretrained_encoder(config: Config) -> None:
    paper = experiment_of(config)
    with pytest.raises(ConfigurationError, match=r"--encoders: .* take the model `small`"):
        replace(paper, model=ModelConfig(name="vit_b16", frames=8, side=224, seconds=8.0))
