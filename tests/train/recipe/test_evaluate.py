"""Models are scored in the precision that they are trained in."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sensemble_runtime.auditing.intervals import wilson
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.recipe.evaluate import embed, evaluate, intervals
from sensemble_train.training.loop import Loop
from sensemble_train.training.scale import ScaleConfig
from torch import Tensor, nn

from tests.train.tiny import raw_inputs, tiny_model


def seen(model: Model, clips: Clips, loop: Loop) -> tuple[dict[str, Tensor], set[torch.dtype]]:
    """The embeddings, and what the linear layers of the encoders gave while they were made."""
    types: set[torch.dtype] = set()
    for module in model.encoders.modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda _module, _fed, given: types.add(given.dtype))
    return embed(clips, loop, model)[0].inputs, types


def test_encoders_run_in_the_precision_of_training(tmp_path: Path) -> None:
    inputs = raw_inputs(6)
    present = {m: torch.ones(6, dtype=torch.bool) for m in inputs}
    clips = Clips(tiny_model().front(inputs), present, torch.zeros(6, dtype=torch.int64))
    whole, types = seen(tiny_model(), clips, Loop(tmp_path, 0))
    assert types == {torch.float32}
    half, types = seen(tiny_model(), clips, Loop(tmp_path, 0, ScaleConfig(precision="bf16")))
    assert types == {torch.bfloat16}
    for m, embeddings in half.items():
        assert embeddings.dtype == torch.float32
        assert embeddings.numpy() == pytest.approx(whole[m].numpy(), abs=0.05)
        assert not torch.equal(embeddings, whole[m])


def test_every_score_has_its_interval_examples_and_chance(tmp_path: Path) -> None:
    inputs = raw_inputs(12)
    present = {m: torch.ones(12, dtype=torch.bool) for m in inputs}
    targets = torch.tensor([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    clips = Clips(tiny_model().front(inputs), present, targets)
    model = tiny_model()
    embedded = embed(clips, Loop(tmp_path, 0), model)[0]
    scores, found = evaluate(model, embedded), intervals(model, embedded, np.arange(12))
    assert found.keys() == scores.keys()
    for name, score in scores.items():
        low, high = wilson(12 * score, 12)
        assert found[name] == pytest.approx({"low": low, "high": high, "n": 12, "chance": 8 / 12})
