"""Imitation against its formula."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sensemble_train.objectives.imitation import Imitation
from torch import Tensor

from tests.train.recipe.test_learning import scenes
from tests.train.tiny import STEM, tiny_model


def cosines(a: Tensor, b: Tensor) -> np.ndarray:
    x, y = a.detach().double().numpy(), b.double().numpy()
    return np.asarray((x * y).sum(axis=1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1))


def test_it_is_the_mean_over_modalities_of_one_less_the_cosine_where_there_is_one() -> None:
    model = tiny_model(STEM)
    goals = torch.randn(6, 3, 8)
    batch = replace(scenes(model, 6, seed=0), targets=goals)
    batch.present.update(audio=torch.arange(6) < 4, text=torch.zeros(6, dtype=torch.bool))
    objective = Imitation(model).eval()
    loss = objective(batch)
    heard, seen = (objective.encode(m, batch) for m in ("audio", "video"))
    expected = [(1 - cosines(heard[:4], goals[:4, 0])).mean(), 0.0, (1 - cosines(seen, goals[:, 2])).mean()]
    assert loss.item() == pytest.approx(np.mean(expected), abs=1e-5)
    loss.backward()
    assert all(weight.grad is None for weight in model.head.parameters())
