"""Familiarity minimizes its loss, and separates known from synthetic windows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sensemble_export.measuring import familiarity
from sensemble_export.measuring.calibration import limit_of
from sensemble_runtime.bundle.head import Familiarity
from sklearn.metrics import roc_auc_score

from tests.export.conftest import SPECS, make_model, windows


def fit(known: dict[str, np.ndarray], other: dict[str, np.ndarray], count: int = 1) -> Familiarity:
    """Fit to known windows of `count` classes, which take turns."""
    return familiarity.fit(known, other, {m: np.arange(len(x)) % count for m, x in known.items()}, count, {})


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(max_examples=15)
@given(
    known=st.integers(2, 200),
    other=st.integers(2, 200),
    size=st.integers(1, 20),
    apart=st.floats(0, 5),
    seed=st.integers(0, 1000),
)
def test_the_fit_minimizes_the_loss_of_both_sides_and_the_penalty(
    known: int, other: int, size: int, apart: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sides = {"a": unit(rng.normal(size=(known, size)) + apart)}, {"a": unit(rng.normal(size=(other, size)))}
    found = fit(*sides)
    weight, bias = found.weight, found.bias
    assert weight.shape == (1, size)
    assert weight.dtype == bias.dtype == np.float32
    wrong = [
        (expit(rows["a"] @ weight[0] + bias[0]) - y)[:, None] for rows, y in zip(sides, (1, 0), strict=True)
    ]
    pull = sum(0.5 * (w * rows["a"]).mean(axis=0) for w, rows in zip(wrong, sides, strict=True))
    np.testing.assert_allclose(pull + 2 * familiarity.PENALTY * weight[0], 0, atol=1e-6)
    assert abs(wrong[0].mean() + wrong[1].mean()) < 2e-6


def test_modalities_are_sorted_and_must_be_the_same_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    high, low = unit(rng.normal(size=(50, 4)) + 2), unit(rng.normal(size=(50, 4)) - 2)
    weight = fit({"video": high, "audio": low}, {"audio": high, "video": low}).weight
    assert (weight[0] < 0).all()  # audio: known are the low ones
    assert (weight[1] > 0).all()
    with pytest.raises(ValueError, match=r"\['a'\].*\['b'\]"):
        fit({"a": high}, {"b": low})
    with pytest.raises(ValueError, match="50 known and 0 background"):
        fit({"a": high}, {"a": low[:0]})


def test_what_lies_between_the_classes_is_less_familiar_than_they_are() -> None:
    rng = np.random.default_rng(0)
    corners = np.eye(8)[np.arange(400) % 4]
    known = unit(corners + 0.1 * rng.normal(size=(400, 8))).astype(np.float32)
    between = unit(corners[:-1] + corners[1:] + 0.1 * rng.normal(size=(399, 8))).astype(np.float32)
    found = fit({"a": known[:200]}, {"a": -known[:200]}, 4)
    near, far = (found.scores(0, x) for x in (known[200:], between))
    assert roc_auc_score(np.repeat([1, 0], [200, 399]), np.concatenate([near, far])) > 0.99
    linear = [found.log_odds(0, x) for x in (known[200:], between)]
    assert roc_auc_score(np.repeat([1, 0], [200, 399]), np.concatenate(linear)) < 0.7
    # A class by itself: that of the second corner was never learned.
    assert found.means is not None
    less = replace(found, means=np.delete(found.means, 1, axis=1))
    assert less.scores(0, known[201::4]).max() < near.min()


@pytest.mark.parametrize("modality", SPECS)
def test_synthetic_backgrounds_have_the_form_of_windows_and_stay_the_same(modality: str) -> None:
    model = make_model(0)
    found = familiarity.synthetic(model, modality, 24)
    like = windows(modality, 24, seed=0)
    assert found.shape == like.shape
    assert found.dtype == like.dtype
    assert torch.equal(found, familiarity.synthetic(model, modality, 24))
    assert len({bytes(row.numpy().tobytes()) for row in found}) > 18
    if modality == "audio":
        assert found.abs().max() <= 1
        assert not found[0].any()  # silence is among them
        assert found[1:20].abs().amax(dim=1).log10().std() > 0.5  # and all levels


@pytest.mark.parametrize("modality", SPECS)
def test_every_second_known_window_is_changed_the_same_each_time(modality: str) -> None:
    model, rows = make_model(0), windows(modality, 9, seed=0)
    found = familiarity.varied(model, modality, rows)
    assert torch.equal(found, familiarity.varied(model, modality, rows))
    assert torch.equal(found[::2], rows[::2])
    assert not torch.equal(found[1::2], rows[1::2])
    assert torch.equal(familiarity.varied(model, modality, rows[:1]), rows[:1])


def test_noise_and_tones_are_told_from_syllables_even_by_untrained_features() -> None:
    torch.manual_seed(0)
    model = make_model(0, ["audio"])
    draw = torch.Generator().manual_seed(1)
    time = torch.arange(16000) / 16000
    syllable = torch.exp(-(((time - 0.2 - 0.5 * torch.rand(200, 1, generator=draw)) / 0.08) ** 2))
    pitch = 100 + 150 * torch.rand(200, 1, generator=draw)
    voice = torch.stack([torch.sin(2 * torch.pi * f * pitch * time) for f in range(1, 9)]).sum(dim=0)
    spoken = 0.1 * syllable * voice + 0.003 * torch.randn(200, 16000, generator=draw)
    other = familiarity.synthetic(model, "audio", 200)
    sides = [familiarity.embed(model, "audio", windows) for windows in (spoken, other)]
    found = fit({"audio": sides[0][::2]}, {"audio": sides[1][::2]})
    scores = found.log_odds(0, np.concatenate([side[1::2] for side in sides]))
    assert roc_auc_score(np.repeat([1, 0], [100, 100]), scores) > 0.8


def test_a_person_unlike_the_others_does_not_make_what_shows_nothing_familiar() -> None:
    rng = np.random.default_rng(0)
    axis = np.eye(8)
    trained = unit(rng.normal(scale=0.1, size=(400, 8)) + axis[0])
    nothing = unit(rng.normal(scale=0.2, size=(400, 8)) - 0.3 * axis[0] + axis[1])
    others = unit(rng.normal(scale=0.1, size=(300, 8)) + axis[0])
    unlike = unit(rng.normal(scale=0.1, size=(100, 8)) + axis[0] + 2 * axis[2])  # on no class's means
    held = np.concatenate([others, unlike]).astype(np.float32)
    groups = np.repeat([[0, 1]], [300, 100], axis=1)
    scores = familiarity.fit({"a": trained}, {"a": nothing}, {"a": np.zeros(400, int)}, 1, {"a": others})
    limit = limit_of(scores.scores(0, held), groups)
    shown = nothing.astype(np.float32)
    assert scores.are_far(0, shown, limit).mean() < 0.5
    found = familiarity.stretched(scores, 0, held, groups, limit)
    assert found.are_far(0, shown, limit).mean() > 0.95
    assert found.are_far(0, held, limit).mean() < 0.01
    assert np.median(found.log_odds(0, held)) == pytest.approx(np.median(scores.log_odds(0, held)), abs=1e-4)
    few = familiarity.stretched(scores, 0, held[:100], groups[:, :100], limit)
    assert few is scores
