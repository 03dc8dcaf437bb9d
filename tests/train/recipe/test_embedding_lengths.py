"""Balance: a modality that knows nothing counts little in the mean, and one that knows counts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_train.recipe.embedding_lengths import balanced
from sensemble_train.recipe.evaluate import embed, evaluate
from sensemble_train.training.loop import Loop

from tests.train.recipe.test_methods import ALL, clips_of
from tests.train.tiny import STEM, tiny_model


@pytest.mark.parametrize("multi", [False, True], ids=["multi-class", "multi-label"])
def test_the_less_a_modality_knows_the_less_it_counts(multi: bool, tmp_path: Path) -> None:
    model, loop = tiny_model(STEM, multi=multi), Loop(tmp_path, 0)
    clips = clips_of(model, 60)
    with torch.no_grad():
        model.head.linear.weight.mul_(30)
        said = model.classify({"video": clips.inputs["video"]})
    clips = replace(clips, targets=(said > said.median()).float() if multi else said.argmax(dim=1))
    found = balanced(model, clips, loop)
    lengths = {m: found.embed({m: clips.inputs[m]})[m].norm(dim=1) for m in ALL}
    for m in ALL:
        torch.testing.assert_close(lengths[m], torch.full((60,), found.description.configs[m].length))
        turned = found.embed({m: clips.inputs[m]})[m] / lengths[m][:, None]
        torch.testing.assert_close(turned, model.embed({m: clips.inputs[m]})[m])
    assert max(lengths["audio"].max(), lengths["text"].max()) < 0.5 * lengths["video"].min()
    before, after = (evaluate(each, embed(clips, loop, each)[0]) for each in (model, found))
    assert after["audio+text+video"] > before["audio+text+video"]
    assert after["audio+video"] >= before["audio+video"]


def test_too_few_examples_balance_nothing(tmp_path: Path) -> None:
    model = tiny_model(STEM)
    assert balanced(model, clips_of(model, 9), Loop(tmp_path, 0)) is model
