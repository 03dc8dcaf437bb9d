"""Models are scored in the precision that they are trained in."""

from pathlib import Path

import pytest
import torch
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.recipe.evaluate import embed
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
    return embed({"": model}, clips, loop)[""].inputs, types


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
