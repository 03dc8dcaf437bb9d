"""Backgrounds beside the batches of training: the loss, and that embeddings then tell them apart."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime.progress import no_progress
from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.data.clips import Clips
from sensemble_train.models.kinds.registry import KINDS
from sensemble_train.objectives.contrastive import Contrastive
from sensemble_train.objectives.objective import Backgrounds
from sensemble_train.objectives.subset_distillation import SubsetDistillation
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.examples import background_examples, backgrounds
from sklearn.metrics import log_loss
from torch.nn import functional

from tests.train.recipe.test_learning import scenes
from tests.train.tiny import SPECS, STEM, Line, tiny_model


def made(count: int, seed: int) -> Clips:
    """Synthetic backgrounds of a tiny model's modalities, as features."""
    model, draw = tiny_model(STEM), torch.Generator().manual_seed(seed)
    raw = {m: KINDS[spec.kind].backgrounds(spec, STEM, count, draw) for m, spec in SPECS.items()}
    there = torch.ones(count, dtype=torch.bool)
    return Clips(model.front(raw), dict.fromkeys(raw, there), None)


@settings(max_examples=20)
@given(known=st.integers(1, 6), other=st.integers(1, 6), seed=st.integers(0, 99))
def test_the_loss_is_the_log_loss_of_the_rows_that_are_there(known: int, other: int, seed: int) -> None:
    torch.manual_seed(seed)
    module = Backgrounds(made(4, 0), ("audio",), 8, 2.0)
    rows = functional.normalize(torch.randn(known + other, 8), dim=1)
    present = torch.rand(known + other) < 0.7
    loss = module({"audio": rows}, {"audio": present}, known)
    score = (10 * module.score["audio"](rows)).sigmoid().flatten().detach().double().numpy()
    sides = [range(known), range(known, known + other)]
    expected = sum(
        log_loss([side == 0] * len(there), score[there], labels=[False, True])
        for side, all_rows in enumerate(sides)
        if (there := [row for row in all_rows if present[row]])
    )
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_backgrounds_are_drawn_beside_each_micro_batch_and_reach_every_encoder() -> None:
    model = tiny_model(STEM)
    strange = Backgrounds(made(40, 0), model.modalities, 8, 1.0)
    objective = Contrastive(model, backgrounds=strange).train()
    batch = scenes(tiny_model(STEM), 8, seed=0)
    joined = strange.join(batch)
    assert len(joined) == 10
    assert all(torch.equal(joined.inputs[m][:8], x) for m, x in batch.inputs.items())
    halves = [(batch.take(rows),) for rows in torch.arange(8).chunk(2)]
    for parts in ([(batch,)], halves):
        objective.zero_grad()
        loss = objective.backward(objective, parts, torch.manual_seed)
        assert loss.isfinite()
        for name, parameter in objective.named_parameters():
            if "head" not in name:
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name
        assert strange.score["audio"].weight.grad.abs().sum() > 0


def test_subset_distillation_adds_their_loss_to_its_own() -> None:
    model = tiny_model(STEM)
    taught = replace(scenes(model, 8, seed=0), targets=torch.full((8, 3), 1 / 3))
    labelled = replace(scenes(model, 6, seed=1), targets=torch.arange(6) % 3)
    strange = Backgrounds(made(40, 0), model.modalities, 8, 0.5)
    plain, beside = (
        SubsetDistillation(model, ("audio",), 0.5, backgrounds).eval() for backgrounds in (None, strange)
    )
    torch.manual_seed(3)
    loss = beside(labelled, taught)
    torch.manual_seed(3)
    joined = strange.join(taught)
    expected = plain(labelled, taught) + strange(model.embed(joined.inputs), joined.present, 8)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert strange.score["text"].weight.grad.abs().sum() > 0


def test_half_an_example_is_no_background_of_training(clips: tuple[Path, list[Line]]) -> None:
    """Half a cat is a cat: encoders learned that it is none of the classes, and named fewer cats."""
    config, model, dataset = Config(str(clips[0])), tiny_model(STEM), read_dataset(clips[0])
    unlabelled = replace(dataset, examples=dataset.split("pretrain"))
    found, expected = (
        backgrounds(config, model, background_examples(config, model, each), lambda _: no_progress)
        for each in (dataset, unlabelled)
    )
    assert found is not None
    assert expected is not None
    for m in model.modalities:
        torch.testing.assert_close(found.inputs[m], expected.inputs[m])
