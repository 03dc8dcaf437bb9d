"""Augmentation does what App. E says, and nothing to what it should leave alone."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_train.data.clips import Clips
from sensemble_train.models.augment_config import PAPER, AugmentConfig
from sensemble_train.models.kinds.waveform import hide
from sensemble_train.training.augment import augment, mixup

from tests.train.tiny import PLAIN, tiny_model


def batch_of(count: int) -> Clips:
    """Examples whose inputs and class are their number."""
    number = torch.arange(count)
    inputs = {
        "audio": number.float().view(-1, 1, 1, 1).expand(-1, 1, 3, 2),
        "text": number.view(-1, 1).expand(-1, 4),
        "video": number.to(torch.uint8).view(-1, 1, 1, 1, 1).expand(-1, 2, 2, 2, 3),
    }
    return Clips(inputs, {m: torch.ones(count, dtype=torch.bool) for m in inputs}, number)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 40), rate=st.floats(0, 1))
def test_mixup_mixes_inputs_and_labels_alike_and_leaves_text(seed: int, count: int, rate: float) -> None:
    torch.manual_seed(seed)
    batch = batch_of(count)
    batch.present["audio"][count // 2 :] = torch.rand(count - count // 2) < 0.5
    mixed = mixup(batch, rate, classes=count)
    assert mixed.targets is not None
    torch.testing.assert_close(mixed.targets.sum(dim=1), torch.ones(count))
    labels = mixed.targets @ torch.arange(count).float()
    torch.testing.assert_close(mixed.inputs["audio"][:, 0, 1, 1], labels, atol=1e-4, rtol=1e-4)
    assert (mixed.inputs["video"][:, 0, 1, 1, 0].float() - labels).abs().max() <= 0.501
    assert mixed.inputs["video"].dtype == torch.uint8
    assert torch.equal(mixed.inputs["text"], batch.inputs["text"])
    assert mixed.present is batch.present
    parts = (mixed.targets > 0).float()
    lacking = ~batch.present["audio"]
    assert not (parts[batch.present["audio"]][:, lacking]).any()  # nothing is mixed with an absent recording


def test_half_of_the_examples_are_mixed_by_beta_weights() -> None:
    torch.manual_seed(0)
    count = 2000
    mixed = mixup(batch_of(count), 0.5, classes=count)
    assert mixed.targets is not None
    weights = mixed.targets[torch.arange(count), torch.arange(count)]
    assert (weights < 1).float().mean().item() == pytest.approx(0.5, abs=0.04)
    own = weights[weights < 1]
    assert own.mean().item() == pytest.approx(0.5, abs=0.02)
    assert own.var().item() == pytest.approx(1 / 84, rel=0.2)  # of Beta(10, 10)


def test_mixup_keeps_what_has_several_labels_or_none() -> None:
    torch.manual_seed(0)
    batch = batch_of(6)
    several = Clips(batch.inputs, batch.present, torch.eye(6))
    mixed = mixup(several, 1.0, 6)
    assert mixed.targets is not None
    assert ((mixed.targets > 0).sum(dim=1) <= 2).all()
    assert mixup(Clips(batch.inputs, batch.present, None), 0.5, 6).targets is None
    words = Clips({"text": batch.inputs["text"]}, {"text": batch.present["text"]}, batch.targets)
    assert torch.equal(mixup(words, 1.0, classes=6).targets, torch.eye(6))


def test_spec_augment_hides_one_span_of_each_axis() -> None:
    torch.manual_seed(0)
    log_mel = torch.ones(300, 1, 800, 128)
    hidden = hide(log_mel, PAPER.time, PAPER.bins)[:, 0] == 0
    assert log_mel.all()
    spans = {"time": hidden.all(dim=2), "bins": hidden.all(dim=1)}
    assert torch.equal(hidden, spans["time"][:, :, None] | spans["bins"][:, None, :])
    for name, limit in (("time", 192), ("bins", 48)):
        lengths = spans[name].sum(dim=1)
        assert lengths.max() < limit
        assert lengths.float().mean().item() == pytest.approx(limit / 2, rel=0.1)
        edges = torch.diff(torch.nn.functional.pad(spans[name].int(), (1, 1)), dim=1)
        assert (edges == 1).sum(dim=1).max() == 1
        assert len({tuple(row.tolist()) for row in spans[name]}) > 100  # each example has its own


def test_a_batch_changes_in_what_the_configuration_names() -> None:
    torch.manual_seed(0)
    batch = batch_of(9)
    model = tiny_model(PLAIN, labels=9)
    same = augment(batch, model, AugmentConfig())
    assert all(torch.equal(same.inputs[m], x) for m, x in batch.inputs.items())
    assert same.targets is batch.targets
    changed = augment(batch, model, PAPER)
    assert changed.targets is not None
    assert changed.targets.shape == (9, 9)
    assert {m for m, x in batch.inputs.items() if not torch.equal(changed.inputs[m], x)} == {"audio", "video"}
    unlabelled = augment(replace(batch, targets=None), model, AugmentConfig(mixup=1.0))
    assert all(torch.equal(unlabelled.inputs[m], x) for m, x in batch.inputs.items())
