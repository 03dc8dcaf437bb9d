"""A saved model is the model, and what is not one is refused in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sensemble_train.errors import CheckpointError
from sensemble_train.models.model import copied, load_model, save_model

from tests.train.tiny import STEM, raw_inputs, tiny_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_model(tiny_model(STEM), folder)
    return folder


def test_round_trip_gives_the_same_outputs(saved: Path) -> None:
    model, again = tiny_model(STEM), load_model(saved)
    assert again.description == model.description
    assert again.modalities == ("audio", "text", "video")
    assert again.tokenizer is not None
    assert model.tokenizer is not None
    assert again.tokenizer.encode("another word").ids == model.tokenizer.encode("another word").ids
    assert copied(again).tokenizer is load_model(saved).tokenizer is again.tokenizer, "it is read once"
    raw = raw_inputs(3)
    for subset in (("audio",), ("text", "video"), ("audio", "text", "video")):
        inputs = {m: raw[m] for m in subset}
        assert torch.equal(again(inputs), model(inputs))
    assert {p.name for p in saved.iterdir()} == {"model.json", "tokenizer.json", "weights.safetensors"}


def test_logits_are_those_of_the_mean_embedding() -> None:
    model, raw = tiny_model(), raw_inputs(2)
    mean = (model.encoders["audio"](raw["audio"]) + model.encoders["video"](raw["video"])) / 2
    torch.testing.assert_close(model({m: raw[m] for m in ("audio", "video")}), model.head(mean))


def _truncate(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _edit(change: Callable[[dict[str, dict[str, dict[str, object]]]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        description = json.loads((folder / "model.json").read_text("utf-8"))
        change(description)
        (folder / "model.json").write_text(json.dumps(description), "utf-8")

    return apply


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no weights": lambda folder: (folder / "weights.safetensors").unlink(),
    "truncated weights": _truncate,
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "no description": lambda folder: (folder / "model.json").unlink(),
    "broken description": lambda folder: (folder / "model.json").write_text("{", "utf-8"),
    "a deeper encoder": _edit(lambda d: d["configs"]["text"].update(depth=3)),
    "no heads": _edit(lambda d: d["configs"]["video"].update(heads=0)),
    "a tubelet that does not divide": _edit(lambda d: d["specs"]["video"].update(shape=[1, 3, 16, 16, 3])),
    "an unknown modality": _edit(lambda d: d["specs"].update(smell=d["specs"].pop("audio"))),
    "a field of another type": _edit(lambda d: d["configs"]["audio"].update(depth="deep")),
    "a field too many": _edit(lambda d: d.update(more={})),
    "no modality": _edit(lambda d: d.update(specs={}, configs={})),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_model_is_refused(damage: Callable[[Path], object], saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(saved, folder)
    damage(folder)
    with pytest.raises(CheckpointError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(str(folder))
    assert "train it again" in message
