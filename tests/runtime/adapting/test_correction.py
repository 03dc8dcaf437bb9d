import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime.adapting import correction
from sensemble_runtime.adapting.correction import MEMORY, Correction, Sums
from sensemble_runtime.bundle.head import Head
from sklearn.linear_model import Ridge

from .world import C, D, World, honest, opinion


def sums_of(x: np.ndarray, q: np.ndarray, weights: np.ndarray) -> Sums:
    sums = Sums.empty(x.shape[1], q.shape[1])
    for lesson in zip(x, q, weights, strict=True):
        sums.add(*lesson)
    return sums


def centred(head: Head) -> np.ndarray:
    return (head.weight - head.weight.mean(axis=0)).T.astype(float)


def corrected(head: Head, found: Correction, x: np.ndarray) -> np.ndarray:
    return head.logits(x) + found(x)


def fitted(sums: Sums, head: Head) -> Correction | None:
    return correction.fit(sums, head)


def taught(world: World, n: int) -> Sums:
    truth = world.truth(n)
    said = honest(truth, world.rng)
    return sums_of(world.windows(truth), np.stack([opinion(a) for a in said]), np.ones(n))


@settings(max_examples=40)
@given(st.integers(2, 30), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32))
def test_sums_are_those_of_lessons_of_which_older_ones_count_less(
    n: int, d: int, classes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, q, w = rng.normal(50, 1, (n, d)), rng.normal(0, 1, (n, classes)), rng.uniform(0.1, 4, n)
    sums = sums_of(x, q, w)
    w = w * (1 - 1 / MEMORY) ** np.arange(n - 1, -1, -1)
    assert sums.weight == pytest.approx(w.sum())
    np.testing.assert_allclose(sums.mean, np.average(x, axis=0, weights=w))
    np.testing.assert_allclose(sums.target, np.average(q, axis=0, weights=w), atol=1e-12)
    apart = x - sums.mean
    np.testing.assert_allclose(sums.scatter, (apart * w[:, None]).T @ apart, atol=1e-9)
    np.testing.assert_allclose(sums.cross, (apart * w[:, None]).T @ (q - sums.target), atol=1e-9)


def test_the_slopes_are_those_of_a_ridge_regression_drawn_towards_the_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(correction, "MEMORY", 10**9)
    world = World()
    truth = world.truth(200)
    x, q = world.windows(truth).astype(float), np.eye(C)[truth]
    sums = sums_of(x, q, np.ones(200))
    found = fitted(sums, world.head)
    assert found is not None
    shipped = centred(world.head)
    loud = float((shipped * (sums.scatter @ shipped)).sum())
    prior = correction.SLOPE * float((shipped * sums.cross).sum()) / loud * shipped
    eigen = np.linalg.eigvalsh(sums.scatter)
    penalty = correction.WEIGHT * float((eigen**2).sum() / eigen.sum()) / 200
    oracle = prior + Ridge(alpha=penalty).fit(x, q - x @ prior).coef_.T
    # What is found differs in loudness alone.
    slopes = found.slopes + shipped
    np.testing.assert_allclose(slopes / np.linalg.norm(slopes), oracle / np.linalg.norm(oracle), atol=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.integers(2, 60))
def test_a_correction_is_as_loud_as_the_head_whatever_it_is_taught(seed: int, n: int) -> None:
    world, rng = World(seed % 7), np.random.default_rng(seed)
    sums = sums_of(100 * rng.normal(0, 1, (n, D)), rng.dirichlet(np.full(C, 0.1), n), np.ones(n))
    found, shipped = fitted(sums, world.head), centred(world.head)
    if found is not None:
        slopes = found.slopes + shipped
        loud, expected = (float((each * (sums.scatter @ each)).sum()) for each in (slopes, shipped))
        assert loud == pytest.approx(expected, rel=1e-3)


def test_a_class_that_is_shown_more_often_does_not_become_likelier() -> None:
    world = World()
    truth = np.where(world.rng.random(600) < 0.5, 6, world.truth(600))
    x = world.windows(truth)
    found = fitted(sums_of(x, np.stack([opinion(int(a)) for a in truth]), np.ones(600)), world.head)
    assert found is not None
    said = corrected(world.head, found, world.windows(world.truth(2000))).argmax(1)
    assert (said == 6).mean() < 0.2


def test_lessons_that_say_nothing_give_no_correction() -> None:
    world = World()
    assert fitted(Sums.empty(D, C), world.head) is None
    same = sums_of(np.ones((20, D)), np.tile(opinion(3), (20, 1)), np.ones(20))
    assert fitted(same, world.head) is None


def test_numbers_that_overflow_give_no_correction() -> None:
    """A damaged copy of the sums gave NaN, which ended `run --adapt --json`."""
    world = World()
    sums = taught(world, 50)
    sums.cross *= 1e300
    with np.errstate(all="ignore"):
        assert fitted(sums, world.head) is None


def test_a_head_with_more_classes_than_dimensions_is_corrected_as_far_as_it_can_be() -> None:
    rng = np.random.default_rng(0)
    head = Head(rng.normal(0, 1, (40, 6)).astype(np.float32), np.zeros(40, np.float32), "multi-class")
    x = rng.normal(0, 1, (200, 6)).astype(np.float32)
    answers = head.logits(x - 1).argmax(1)
    found = fitted(sums_of(x, np.eye(40)[answers], np.ones(200)), head)
    assert found is not None
    before, after = ((z.argmax(1) == answers).mean() for z in (head.logits(x), corrected(head, found, x)))
    assert after > before
