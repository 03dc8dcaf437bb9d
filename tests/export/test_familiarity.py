"""Familiarity against scikit-learn's logistic regression, and what it separates on synthetic windows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_export import familiarity
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from .conftest import SPECS, make_model, windows


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
def test_the_fit_is_scikit_learns(known: int, other: int, size: int, apart: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = {"a": unit(rng.normal(size=(known, size)) + apart)}, {"a": unit(rng.normal(size=(other, size)))}
    weight, bias = familiarity.fit(*sides)
    assert weight.shape == (1, size)
    assert weight.dtype == bias.dtype == np.float32
    x = np.concatenate([sides[0]["a"], sides[1]["a"]])
    y = np.repeat([1, 0], [known, other])
    share = np.where(y == 1, 0.5 / known, 0.5 / other)
    oracle = LogisticRegression(
        C=0.5 / familiarity.PENALTY, tol=1e-10, max_iter=10_000, solver="newton-cholesky"
    )
    oracle.fit(x, y, sample_weight=share)
    np.testing.assert_allclose(x @ weight[0] + bias[0], oracle.decision_function(x), atol=5e-3)


def test_modalities_are_sorted_and_must_be_the_same_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    high, low = unit(rng.normal(size=(50, 4)) + 2), unit(rng.normal(size=(50, 4)) - 2)
    weight, bias = familiarity.fit({"video": high, "audio": low}, {"audio": high, "video": low})
    assert (weight[0] < 0).all()  # audio: known are the low ones
    assert (weight[1] > 0).all()
    assert bias.shape == (2,)
    with pytest.raises(ValueError, match=r"known embeddings of \['a'\], backgrounds of \['b'\]"):
        familiarity.fit({"a": high}, {"b": low})
    with pytest.raises(ValueError, match="50 known and 0 background"):
        familiarity.fit({"a": high}, {"a": low[:0]})


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
    weight, bias = familiarity.fit({"audio": sides[0][::2]}, {"audio": sides[1][::2]})
    scores = np.concatenate([side[1::2] for side in sides]) @ weight[0] + bias[0]
    assert roc_auc_score(np.repeat([1, 0], [100, 100]), scores) > 0.8
