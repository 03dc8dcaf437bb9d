import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime.adapting.ridge import Sums
from sklearn.linear_model import Ridge


def sums_of(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Sums:
    sums = Sums.empty(x.shape[1], y.shape[1])
    for pair in zip(x, y, weights, strict=True):
        sums.add(*pair)
    return sums


@settings(max_examples=40)
@given(st.integers(2, 30), st.integers(1, 6), st.integers(1, 4), st.floats(0.01, 100), st.integers(0, 2**32))
def test_the_slopes_are_those_of_a_weighted_ridge_regression(
    n: int, d: int, classes: int, penalty: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, y, w = rng.normal(50, 1, (n, d)), rng.normal(0, 1, (n, classes)), rng.uniform(0.1, 4, n)
    prior = rng.normal(0, 1, (d, classes))
    sums = sums_of(x, y, w)
    # Drawn towards a prior is drawn towards zero in what the prior leaves over.
    oracle = Ridge(alpha=penalty).fit(x, y - x @ prior, sample_weight=w)
    expected = prior + oracle.coef_.reshape(classes, d).T
    np.testing.assert_allclose(sums.solve(prior, penalty), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(sums.mean, np.average(x, axis=0, weights=w))
    np.testing.assert_allclose(sums.target, np.average(y, axis=0, weights=w), atol=1e-12)


def test_forgetting_is_weighting_old_pairs_less() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, (20, 5)), rng.normal(0, 1, (20, 2))
    forgetful = Sums.empty(5, 2)
    for pair in zip(x, y, strict=True):
        forgetful.forget(0.9)
        forgetful.add(*pair)
    weighted = sums_of(x, y, 0.9 ** np.arange(19, -1, -1))
    for field in ("weight", "mean", "target", "scatter", "cross"):
        np.testing.assert_allclose(getattr(forgetful, field), getattr(weighted, field), atol=1e-9)


def test_without_pairs_the_slopes_are_the_prior() -> None:
    prior = np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(Sums.empty(3, 2).solve(prior, 0.5), prior)


def test_weights_stay_bounded_by_the_memory() -> None:
    sums = Sums.empty(2, 1)
    for i in range(1500):
        sums.forget(1 - 1 / 64)
        sums.add(np.array([1e3, i % 7]), np.array([1.0]))
    assert sums.weight == pytest.approx(64)
    assert abs(sums.scatter[0, 0]) < 1e-6, "a constant far from zero has no variance"
