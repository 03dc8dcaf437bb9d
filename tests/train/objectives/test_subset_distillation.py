"""Subset distillation: its formula, computed by other means, and the paper's Eq. 8 as a case of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_expit, log_softmax
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.subsets import Subset, subsets
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.objectives.subset_distillation import SubsetDistillation
from sensemble_train.objectives.task import Distillation, LabelledTask
from torch import Tensor

from tests.train.tiny import STEM, raw_inputs, tiny_model

ALL = ("audio", "text", "video")
SETS = subsets(ALL)


def clips_of(model: Model, count: int, seed: int) -> Clips:
    features = model.front(raw_inputs(count, seed))
    rows = torch.ones(count, dtype=torch.bool)
    return Clips(features, dict.fromkeys(features, rows), None)


def labels(model: Model, count: int) -> Tensor:
    classes = torch.arange(count) % 3
    multi = model.description.task == "multi-label"
    return torch.nn.functional.one_hot(classes, 3).float() if multi else classes


def weighted(losses: Sequence[float], sets: Sequence[Subset]) -> float:
    """The mean in which a modality by itself counts thrice."""
    return float(np.average(losses, weights=[3 if len(subset) == 1 else 1 for subset in sets]))


def probabilities(logits: Tensor, task: str) -> Tensor:
    return logits.softmax(dim=1) if task == "multi-class" else logits.sigmoid()


@pytest.mark.parametrize("multi", [False, True], ids=["multi-class", "multi-label"])
@pytest.mark.parametrize("train", SETS[:-1], ids="+".join)
def test_with_two_subsets_and_a_live_teacher_it_is_eq_8(train: Subset, multi: bool) -> None:
    """The same loss, and the same gradient of every weight."""
    model = tiny_model(STEM, multi=multi)
    student = tuple(m for m in ALL if m not in train)
    labelled = replace(clips_of(model, 5, 0), targets=labels(model, 5)).having(train)
    unlabelled = clips_of(model, 6, 1)
    paper = Distillation(model, train, 0.3).train()
    expected = paper(labelled, unlabelled)
    expected.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    ours = SubsetDistillation(model, train, 0.3).train()
    ours.labelled, ours.unlabelled = [train], [student]
    with torch.no_grad():
        logits = model.classify({m: unlabelled.inputs[m] for m in train})
    taught = replace(unlabelled, targets=probabilities(logits, model.description.task))
    loss = ours(labelled, taught)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    for name, parameter in model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-6, rtol=1e-4)
        else:
            assert parameter.grad is None, name


@settings(max_examples=20)
@given(
    train=st.sampled_from(SETS),
    weight=st.sampled_from([0.0, 0.25, 1.0]),
    multi=st.booleans(),
    own=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_the_formula(train: Subset, weight: float, multi: bool, own: bool, seed: int) -> None:
    """Embeddings are pooled as the runtime pools them, and the losses are SciPy's.

    All subsets are taught the same, or each its `own` targets.
    """
    model = tiny_model(STEM, multi=multi, seed=seed)
    labelled = replace(clips_of(model, 4, seed), targets=labels(model, 4)).having(train)
    unlabelled = clips_of(model, 5, seed + 1)
    q = probabilities(2 * torch.randn(*((5, 7, 3) if own else (5, 3))), model.description.task)
    with torch.no_grad():
        loss = SubsetDistillation(model, train, weight).train()(labelled, replace(unlabelled, targets=q))

    def losses(features: dict[str, Tensor], targets: np.ndarray) -> list[float]:
        with torch.no_grad():
            embedded = model.embed({m: features[m] for m in sorted(features)})
            pooled = pool_subsets(np.stack([x.numpy() for x in embedded.values()]))
            logits = model.head.folded()(torch.from_numpy(pooled)).double().numpy()
        each = zip(logits, np.broadcast_to(targets, logits.shape), strict=True)
        if multi:
            return [-(t * log_expit(f) + (1 - t) * log_expit(-f)).mean() for f, t in each]
        return [-(t * log_softmax(f, axis=1)).sum(axis=1).mean() for f, t in each]

    truth = np.eye(3)[np.arange(4) % 3]
    goals = q.double().numpy()
    learned = losses(labelled.inputs, truth)
    taught = losses(unlabelled.inputs, goals.swapaxes(0, 1) if own else goals)
    assert (len(learned), len(taught)) == (2 ** len(train) - 1, 7)
    means = [weighted(losses, subsets(sets)) for losses, sets in ((learned, train), (taught, ALL))]
    assert loss.item() == pytest.approx((1 - weight) * means[0] + weight * means[1], abs=1e-5)


def test_a_subset_learns_from_the_examples_that_have_all_of_it() -> None:
    model = tiny_model(STEM)
    unlabelled = replace(clips_of(model, 5, 1), targets=torch.full((5, 3), 1 / 3))
    some = replace(clips_of(model, 6, 0), targets=labels(model, 6))
    some.present.update(audio=torch.arange(6) < 2, video=torch.arange(6) != 1)
    train = ("audio", "video")
    with torch.no_grad():
        loss = SubsetDistillation(model, train, 0.0)(some.having(train, some=True), unlabelled)
        each = []
        for subset in subsets(train):
            part = some.having(subset)
            logits = model.classify(part.inputs)
            each.append(float(torch.nn.functional.cross_entropy(logits, part.targets)))
    assert loss.item() == pytest.approx(weighted(each, subsets(train)), abs=1e-5)


def test_what_an_example_lacks_does_not_count_in_the_statistics_of_an_adapter() -> None:
    model = tiny_model(replace(STEM, source="tests.train.tiny:own"))
    unlabelled = replace(clips_of(model, 5, 1), targets=torch.full((5, 3), 1 / 3))
    some = replace(clips_of(model, 6, 0), targets=labels(model, 6))
    some.present.update(audio=torch.arange(6) < 3)
    objective, losses = SubsetDistillation(model, ALL, 0.5).train(), []
    for filling in (0.0, 1000.0):
        some.inputs["audio"][3:] = filling
        losses.append(objective(some, unlabelled).item())
    assert losses[0] == losses[1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_batch_of_which_few_have_a_modality_is_encoded(count: int) -> None:
    model = tiny_model(STEM)
    objective, batch = LabelledTask(model, ALL).train(), clips_of(model, 5, 0)
    batch.present.update(audio=torch.arange(5) < count)
    assert objective.training
    found = objective.encode("audio", batch)
    assert found.isfinite().all()
    assert count < 2 or not found[count:].any()
    norms = [module for module in objective.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {norm.training for norm in norms} == {objective.model.head.norm.training} == {False}
