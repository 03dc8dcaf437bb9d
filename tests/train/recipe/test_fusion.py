"""Late fusion of specialists: the sum of their calibrated log-probabilities."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_runtime.subsets import name, subsets
from sensemble_train.data.clips import Clips
from sensemble_train.distributed import alone
from sensemble_train.models.encoders import Encoder
from sensemble_train.models.model import Head, Model
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.evaluate import embed, evaluate
from sensemble_train.recipe.fusion import (
    LateFusion,
    fuse,
    likeliest,
    linear_specialist,
    prior_logits,
    teach,
)
from sensemble_train.recipe.job import SubsetJob, TrainingJob
from sensemble_train.recipe.linear import DECAYS
from sensemble_train.training.loop import Loop
from torch import Tensor
from torch.nn import functional

from tests.train.recipe.test_methods import ALL, clips_of
from tests.train.tiny import STEM, tiny_model

EVEN = torch.zeros(3)


def test_its_answer_is_the_largest_sum_of_calibrated_log_probabilities(tmp_path: Path) -> None:
    specialists = {m: tiny_model(STEM, seed=place) for place, m in enumerate(ALL)}
    clips, loop = clips_of(specialists["audio"], 60), Loop(tmp_path, 0)
    with torch.no_grad():
        for model in specialists.values():  # sure of what they say, and often wrong
            model.head.linear.weight.mul_(50)
        logits = {m: model.classify({m: clips.inputs[m]}) for m, model in specialists.items()}
    fused = fuse(specialists, EVEN, clips, loop)
    fused.repeat(0.0)
    embedded, sums = embed(clips, loop, fused)[0], {}
    found = evaluate(fused, embedded)
    for m, each in logits.items():
        temperature = fused.encoders[m].temperature
        assert isinstance(temperature, float)
        assert temperature > 1
        losses = [functional.cross_entropy(each / t, clips.targets) for t in (temperature, 1.0)]  # type: ignore[arg-type]
        assert losses[0] < losses[1]
        sums[m] = (each / temperature).log_softmax(dim=1)
    for subset in subsets(ALL):
        answers = torch.stack([sums[m] for m in subset]).sum(dim=0).argmax(dim=1)
        assert found[name(subset)] == pytest.approx(float((answers == clips.targets).float().mean()))
    # Of all sensors it is as sure as the sum, as a teacher must be, not as the mean of opinions.
    pooled = fused.head(torch.stack(list(embedded.inputs.values())).mean(dim=0))
    expected = torch.stack(list(sums.values())).sum(dim=0)
    torch.testing.assert_close(pooled.softmax(dim=1), expected.softmax(dim=1), rtol=1e-3, atol=1e-4)


def test_without_calibrate_nothing_is_fitted_to_the_examples_that_specialists_learned(tmp_path: Path) -> None:
    specialists = {m: tiny_model(STEM, seed=place) for place, m in enumerate(ALL)}
    clips = clips_of(specialists["audio"], 60)
    job = TrainingJob(Config(""), tmp_path, alone(), lambda *_: None)
    found = {}
    for held_out in (True, False):
        cell = SubsetJob(job, ALL, specialists["audio"], clips, {"calibrate": clips}, None, held_out)
        fused = cell.fused(specialists)
        found[held_out] = {encoder.temperature for encoder in fused.encoders.values()}
    assert found[False] == {1.0}
    assert 1.0 not in found[True]


@pytest.mark.parametrize("multi", [False, True], ids=["multi-class", "multi-label"])
def test_it_teaches_a_subset_its_sensors_and_half_of_the_others(multi: bool, tmp_path: Path) -> None:
    specialists = {m: tiny_model(STEM, seed=place, multi=multi) for place, m in enumerate(ALL)}
    clips, loop = clips_of(specialists["audio"], 12), Loop(tmp_path, 0)
    fused = fuse(specialists, EVEN, replace(clips, targets=None), loop)
    fused.repeat(0.0)
    targets = teach(fused, clips, loop).targets
    assert targets is not None
    with torch.no_grad():
        logits = {m: model.classify({m: clips.inputs[m]}) for m, model in specialists.items()}
    for place, subset in enumerate(subsets(ALL)):
        mixed = torch.stack([x if m in subset else x / 2 for m, x in logits.items()]).sum(dim=0)
        expected = mixed.sigmoid() if multi else mixed.softmax(dim=1)
        torch.testing.assert_close(targets[:, place], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_sensors_that_know_nothing_say_the_prior_alone_and_together(task: str, tmp_path: Path) -> None:
    """One example in a hundred has the rare class: adding two sensors' logits made it one in ten thousand."""
    rare = torch.arange(1000) % 100 == 0
    targets = rare.long() if task == "multi-class" else torch.stack([~rare, rare, rare], dim=1).float()
    specialists = {
        m: tiny_model(STEM, seed=place, multi=task == "multi-label") for place, m in enumerate(ALL)
    }
    prior = prior_logits(targets, task, 3)
    with torch.no_grad():
        for model in specialists.values():
            model.head.linear.weight.zero_()
            model.head.linear.bias.copy_(prior)
    clips, loop = clips_of(specialists["audio"], 4), Loop(tmp_path, 0)
    fused = LateFusion(specialists, prior).eval()
    taught = teach(fused, clips, loop).targets
    assert taught is not None
    expected = torch.tensor([0.99, 0.01, 0.0 if task == "multi-class" else 0.01])
    torch.testing.assert_close(taught, expected.expand_as(taught), rtol=0, atol=1e-3)
    (embedded,) = embed(clips, loop, fused)
    pooled = torch.stack(list(embedded.inputs.values()))
    for size in (1, 2, 3):
        answers = fused.answers(pooled[:size].mean(dim=0)[None], torch.tensor(size).view(1, 1, 1))
        torch.testing.assert_close(answers[0], prior.expand(4, 3))
    torch.testing.assert_close(fused.head(pooled.mean(dim=0)), prior.expand(4, 3), rtol=1e-3, atol=1e-3)


def test_a_sensor_without_labels_is_read_by_the_heads_of_the_others(tmp_path: Path) -> None:
    specialists = {m: tiny_model(STEM, seed=place) for place, m in enumerate(ALL[:2])}
    clips, loop = clips_of(specialists["audio"], 12), Loop(tmp_path, 0)
    fused = fuse(specialists, EVEN, replace(clips, targets=None), loop)
    with torch.no_grad():
        expected = torch.stack([s.classify({"video": clips.inputs["video"]}) for s in specialists.values()])
    found = embed(clips, loop, fused)[0].inputs["video"]
    torch.testing.assert_close(found, expected.mean(dim=0))


SHARES = torch.tensor([0.5, 0.2, 0.1, 0.06, 0.05, 0.04, 0.03, 0.02])


class Given(Encoder):
    """Its features are the embedding."""

    def encode(self, features: Tensor) -> Tensor:
        """See `Encoder`."""
        return features


def given() -> Model:
    """A specialist whose logits are the features of its sensor."""
    model = tiny_model(STEM, labels=len(SHARES))
    for m in ALL:
        model.encoders[m] = Given()
    model.head = Head(len(SHARES), len(SHARES))
    with torch.no_grad():
        model.head.linear.weight.copy_(torch.eye(len(SHARES)))
        model.head.linear.bias.zero_()
    return model.eval()


def repeated(count: int, seed: int) -> Clips:
    """Eight unequal classes; speech and captions say nearly the same, and all are three times too sure."""
    draw = torch.Generator().manual_seed(seed)
    classes = len(SHARES)
    truth = torch.multinomial(SHARES, count, replacement=True, generator=draw)

    def evidence(strength: float) -> Tensor:
        return strength * (strength * torch.eye(classes)[truth] + torch.randn(count, classes, generator=draw))

    shown, spoken = evidence(1.6), evidence(1.4)
    written = spoken + 0.3 * torch.randn(count, classes, generator=draw)
    inputs = {m: SHARES.log() + 3 * x for m, x in zip(ALL, (spoken, written, shown), strict=True)}
    return Clips(inputs, {m: torch.ones(count, dtype=torch.bool) for m in ALL}, truth)


def test_a_sensor_that_repeats_another_makes_unequal_classes_no_less_right(tmp_path: Path) -> None:
    """Dividing logits by a temperature and the prior counted once gave rare classes ten points too much."""
    known, loop = repeated(400, 0), Loop(tmp_path, 0)
    assert known.targets is not None
    prior = prior_logits(known.targets, "multi-class", len(SHARES))
    fused = fuse({m: given() for m in ALL}, prior, known, loop)
    found = evaluate(fused, embed(repeated(4000, 1), loop, fused)[0])
    best = max(score for sensors, score in found.items() if sensors.count("+") == 1)
    assert best > 0.8
    assert found["audio+text+video"] > best - 0.02
    assert found["audio+text"] > found["audio"] - 0.02
    assert fused.redundancy > 0


def test_sensors_that_err_apart_add_all_that_they_say(tmp_path: Path) -> None:
    draw, loop = torch.Generator().manual_seed(0), Loop(tmp_path, 0)
    truth = torch.multinomial(SHARES, 600, replacement=True, generator=draw)
    shown = SHARES.log() + 2 * torch.eye(len(SHARES))[truth]
    inputs = {m: shown + 2**0.5 * torch.randn(shown.shape, generator=draw) for m in ALL}
    known = Clips(inputs, {m: torch.ones(600, dtype=torch.bool) for m in ALL}, truth)
    fused = fuse({m: given() for m in ALL}, prior_logits(truth, "multi-class", len(SHARES)), known, loop)
    assert fused.redundancy <= 0.1


def test_a_frozen_encoder_is_read_by_the_classifier_that_suits_examples_held_out(tmp_path: Path) -> None:
    """Few examples of many features: an adapter, or a classifier with little decay, knows them by heart."""
    draw = torch.Generator().manual_seed(0)

    def drawn(count: int) -> Clips:
        truth = torch.arange(count) % 3
        x = torch.randn(count, 2, 80, generator=draw)
        x[:, :, :3] += 2 * torch.eye(3)[truth][:, None]
        return Clips({"video": x}, {"video": torch.ones(count, dtype=torch.bool)}, truth)

    known, held, new = drawn(60), drawn(90), drawn(600)
    model, loop = tiny_model(STEM), Loop(tmp_path, 0)
    several = [linear_specialist(model, "video", known, decay) for decay in DECAYS]

    def right(specialist: Model) -> float:
        with torch.no_grad():
            answers = specialist.classify(new.inputs).argmax(dim=1)
        return float((answers == new.targets).float().mean())

    chosen = likeliest(several, "video", EVEN, held)
    assert right(chosen) == max(map(right, several)) > right(several[0])
    (found,) = embed(new, loop, fuse({"video": chosen}, EVEN, held, loop))
    assert float((found.inputs["video"].argmax(dim=1) == new.targets).float().mean()) == right(chosen)
