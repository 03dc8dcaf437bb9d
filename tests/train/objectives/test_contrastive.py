"""InfoNCE against open_clip's, against CLIP's loss written again in numpy, and against its own definition."""

import math
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax
from sensemble_train.objectives.contrastive import Contrastive, global_loss
from torch import Tensor

from tests.train.openai_clip_ranks import compare
from tests.train.recipe.test_learning import scenes
from tests.train.tiny import STEM, VIT, tiny_model

Array = NDArray[np.float64]


def clip_loss(a: Array, b: Array, scale: float) -> float:
    """The mean log likelihood, both ways, of each row's partner among all rows."""
    similarity = scale * np.einsum("id,jd->ij", a, b)
    forward = np.diag(log_softmax(similarity, axis=1))
    backward = np.diag(log_softmax(similarity, axis=0))
    return float(-(forward + backward).mean() / 2)


def units(count: int, size: int, seed: int) -> Array:
    rows = np.random.default_rng(seed).normal(size=(count, size))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)  # type: ignore[no-any-return]


def log_scale(scale: float = 1 / 0.07) -> Tensor:
    return torch.tensor([math.log(scale)], dtype=torch.float64)


def everywhere(modalities: Iterable[str], count: int) -> dict[str, Tensor]:
    return {m: torch.ones(count, dtype=torch.bool) for m in modalities}


@pytest.mark.parametrize("published", [4.6052, 9.0])
def test_the_temperature_stays_within_clips_bound_and_may_leave_it_again(published: float) -> None:
    objective = Contrastive(tiny_model(VIT), published)
    assert objective.log_scale.item() == pytest.approx(math.log(100))
    pair = {m: torch.from_numpy(units(4, 3, seed)) for seed, m in enumerate("ab")}
    global_loss(pair, objective.log_scale.double(), everywhere("ab", 4)).backward()
    assert objective.log_scale.grad is not None
    assert objective.log_scale.grad.item() > 0  # what is paired at random wants it lower
    torch.optim.SGD([objective.log_scale], 0.1).step()
    objective.after_step()
    assert objective.log_scale.item() < math.log(100)
    with torch.no_grad():
        objective.log_scale.add_(99.0)
    objective.after_step()
    assert objective.log_scale.item() == pytest.approx(math.log(100))


@st.composite
def masks(draw: st.DrawFn) -> dict[str, list[bool]]:
    count = draw(st.integers(2, 7))
    row = st.lists(st.booleans(), min_size=count, max_size=count)
    return {m: draw(row) for m in ("audio", "text", "video")}


@settings(max_examples=40)
@given(present=masks(), scale=st.floats(0.5, 90), seed=st.integers(0, 99))
def test_it_is_the_mean_over_pairs_of_rows(present: dict[str, list[bool]], scale: float, seed: int) -> None:
    count = len(present["audio"])
    rows = {m: units(count, 4, seed + i) for i, m in enumerate(present)}
    expected = []
    for a, b in combinations(present, 2):
        both = np.array(present[a]) & np.array(present[b])
        if both.sum() >= 2:
            expected.append(clip_loss(rows[a][both], rows[b][both], scale))
    there = {m: torch.tensor(mask) for m, mask in present.items()}
    leaves = {m: torch.from_numpy(x).requires_grad_() for m, x in rows.items()}
    value = global_loss(leaves, log_scale(scale), there)
    assert value.item() == pytest.approx(np.mean(expected) if expected else 0.0, abs=1e-6)
    value.backward()
    for m, leaf in leaves.items():
        assert leaf.grad is None or not leaf.grad[~there[m]].any()
    noise = {m: torch.where(there[m][:, None], x.detach(), 7.0) for m, x in leaves.items()}
    assert global_loss(noise, log_scale(scale), there).item() == pytest.approx(value.item(), abs=1e-12)


def test_loss_and_gradients_are_open_clips() -> None:
    compare(("audio", "text"), 0, 1)
    compare(("audio", "text", "video"), 0, 1)


def test_micro_batches_have_the_loss_and_the_gradients_of_the_whole_batch() -> None:
    objective, found = Contrastive(tiny_model(STEM)).eval(), []
    assert objective.log_scale.item() == pytest.approx(math.log(1 / 0.07))
    assert not any(weight.requires_grad for weight in objective.model.head.parameters())
    batch = scenes(objective.model, 8, seed=0)
    for size in (8, 2):
        objective.zero_grad()
        seeds: list[int] = []
        parts = [(batch.take(rows),) for rows in torch.arange(8).split(size)]
        loss = objective.backward(objective, parts, seeds.append)
        found.append([loss, *(p.grad for p in objective.parameters() if p.requires_grad)])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)
    assert seeds == [0, 1, 2, 3, 0, 1, 2, 3], "both passes draw alike"
