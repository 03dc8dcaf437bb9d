"""The linear student of frozen encoders, and its answers to the groups that it learned from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Description, Model, load_model, save_model
from sensemble_train.recipe.linear import DECAYS, fit_linear, nothing_left_out
from sensemble_train.recipe.linear_student import _Reading, linear_student, principal
from torch import Tensor
from torch.nn.functional import normalize

from tests.train.tiny import SPECS, STEM

SOURCES = {"audio": "tests.train.tiny:tone", "video": "tests.train.tiny:colour"}  # of 4 and 3 features
CLASSES = 3


def frozen() -> Model:
    configs = {m: replace(STEM, source=source) for m, source in SOURCES.items()}
    specs = {m: SPECS[m] for m in SOURCES}
    return Model(Description(specs, configs, tuple("abc"), "multi-class"), None).eval()


def drawn(count: int, seed: int) -> Clips:
    """Features of which video says more than sound; an example in five has no sound."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.randint(CLASSES, (count,), generator=draw)
    inputs = {}
    for m, size, strength in (("audio", 4, 0.5), ("video", 3, 1.5)):
        inputs[m] = torch.randn(count, 2, size, generator=draw)
        inputs[m][:, :, :CLASSES] += strength * torch.eye(CLASSES)[truth][:, None]
    present = {m: torch.ones(count, dtype=torch.bool) for m in inputs}
    present["audio"] = torch.arange(count) % 5 > 0
    inputs["audio"][~present["audio"]] = 0
    return Clips(inputs, present, truth)


def right(model: Model, clips: Clips, *modalities: str) -> float:
    some = clips.having(modalities)
    with torch.no_grad():
        return float((model.classify(some.inputs).argmax(dim=1) == some.targets).float().mean())


def test_a_linear_student_learns_from_both_splits_and_no_sensor_makes_it_less_right(
    tmp_path: Path,
) -> None:
    train, calibrate, new = drawn(60, 0), drawn(60, 1), drawn(3000, 2)
    student = linear_student(frozen(), train, calibrate)
    assert student.description.linear
    assert not frozen().description.linear
    assert {config.decay for config in student.description.configs.values()} <= {*DECAYS}
    assert right(student, new, "audio", "video") > right(student, new, "video") - 0.01 > 0.6
    assert right(student, new, "audio") > 0.4
    half = linear_student(frozen(), train.take(torch.arange(30)), calibrate.take(torch.arange(30)))
    assert right(student, new, "video") > right(half, new, "video")
    save_model(student, tmp_path / "student")
    again = load_model(tmp_path / "student")
    torch.testing.assert_close(again.classify(new.inputs), student.classify(new.inputs))


def test_features_count_evenly_where_faint_ones_tell_the_class() -> None:
    """By one scale for all, sixteen classes of speech were named three points less often."""
    draw, strength = torch.Generator().manual_seed(0), torch.tensor([1.0] * 30 + [0.01] * 3)

    def shown(count: int) -> tuple[Tensor, Tensor]:
        truth = torch.arange(count) % 3
        x = torch.randn(count, 33, generator=draw) * strength
        x[torch.arange(count), 30 + truth] += 0.04
        return x, truth

    (known, truth), (held, others), (new, asked) = shown(90), shown(90), shown(3000)
    right, losses = list[float](), list[float]()
    for even in (False, True):
        one = _Reading.of((known, held), (truth, others), 3, "multi-class", even=even)
        folds = nothing_left_out(one.known)
        fit = fit_linear(one.known, truth, folds, 3, "multi-class", decay=one.decay.decay)
        logits = one.reduce(normalize(new)).detach() @ fit.weight.T + fit.bias
        right.append(float((logits.argmax(dim=1) == asked).float().mean()))
        losses.append(one.decay.loss)
    assert losses[1] < losses[0]
    assert right[1] > right[0] + 0.05


@pytest.mark.parametrize("even", [False, True])
def test_principal_components_of_unit_features_have_one_scale(*, even: bool) -> None:
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 7)
    with torch.no_grad():
        found = principal(x, 3, even=even)(normalize(x)).numpy()
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    assert np.isclose((found**2).sum(axis=1).mean(), 1, atol=1e-5)
    spread = np.cov(found.T)
    assert np.abs(spread - np.diag(np.diag(spread))).max() < 1e-5
