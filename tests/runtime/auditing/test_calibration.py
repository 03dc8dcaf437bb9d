"""Temperatures and conformal thresholds, against scipy and the theory."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax
from scipy.stats import beta, betabinom
from sensemble_runtime.auditing import calibration
from sensemble_runtime.auditing.calibration import (
    FOLDS,
    LEAST,
    POWERS,
    calibrate,
    choose_power,
    fit_temperature,
    quantile,
    share,
    shortfalls,
)
from sensemble_runtime.auditing.reliability import calibration_error
from sensemble_runtime.bundle.head import Head, calibrated, scaled
from sensemble_runtime.bundle.manifest import Task

ALPHA = 0.1
CLASSES = 10


def drawn(
    n: int, *, sharpness: float = 3.0, seed: int = 0, clues: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [n, 10] of a classifier, `sharpness` times as large as they should be, and the truth."""
    random = np.random.default_rng(seed)
    honest = clues * random.normal(size=(n, CLASSES))
    truth = (honest + random.gumbel(size=honest.shape)).argmax(axis=1)  # drawn from softmax(honest)
    return (sharpness * honest).astype(np.float32), truth


def loss(temperature: float, logits: np.ndarray, truth: np.ndarray) -> float:
    """The cross-entropy with the pseudo-example that the fit adds."""
    n = len(truth)
    target = (n * np.eye(CLASSES)[truth] + 1 / CLASSES) / (n + 1)
    return -float((target * log_softmax(logits.astype(np.float64) / temperature, axis=1)).mean())


@pytest.mark.parametrize("sharpness", [0.05, 1.0, 3.0, 40.0])
def test_the_temperature_is_the_one_that_scipy_finds(sharpness: float) -> None:
    logits, truth = drawn(400, sharpness=sharpness, clues=3)
    found = fit_temperature(logits, truth, "multi-class")
    best = minimize_scalar(
        lambda log: loss(math.exp(log), logits, truth),
        bounds=(-7, 7),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert found == pytest.approx(math.exp(best.x), rel=1e-4)
    assert found == pytest.approx(sharpness, rel=0.15), "and that undoes what was done to the logits"


@pytest.mark.parametrize(
    ("truth_is", "within"), [("best", (0.01, 1.0)), ("worst", (99, 101))], ids=["all right", "all wrong"]
)
def test_a_temperature_stays_finite(truth_is: str, within: tuple[float, float]) -> None:
    logits, _ = drawn(100)
    truth = logits.argmax(axis=1) if truth_is == "best" else logits.argmin(axis=1)
    assert within[0] < fit_temperature(logits, truth, "multi-class") < within[1]


def half_blind(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A classifier that knows half of its examples and guesses the others, with smaller logits."""
    random = np.random.default_rng(seed)
    logits, truth = drawn(n, sharpness=1.0, seed=seed, clues=4.0)
    blind = random.uniform(size=n) < 0.5
    logits[blind] /= 4
    truth[blind] = random.integers(CLASSES, size=blind.sum())
    return logits, truth


def test_the_power_is_the_one_that_scipy_finds_most_likely() -> None:
    logits, truth = half_blind(2000)

    def cost(of: np.ndarray) -> float:
        power, log = of
        scale = softmax(logits, axis=1).max(axis=1, keepdims=True) ** power * math.exp(-log)
        return -float(log_softmax(logits * scale, axis=1)[np.arange(len(truth)), truth].sum())

    best = minimize(cost, [0.0, 0.0], method="Nelder-Mead").x[0]
    found = choose_power(logits, truth, "multi-class", np.arange(2000))
    assert found > 0
    assert abs(POWERS.index(found) - POWERS.index(min(POWERS, key=lambda power: abs(power - best)))) <= 1


def test_a_power_mends_a_classifier_that_knows_all_or_nothing() -> None:
    fitted, new = half_blind(300, seed=1), half_blind(3000, seed=2)
    present = {"text": np.ones(300, bool)}
    (entry,) = calibrate(fitted[0][None], present, fitted[1], "multi-class", ALPHA).values()
    temperature = fit_temperature(fitted[0], fitted[1], "multi-class")
    errors = []
    for heat, power in ((temperature, 0.0), (entry.temperature, entry.power)):
        chances = calibrated(new[0], heat, power, "multi-class")
        errors.append(calibration_error(chances.max(axis=1), chances.argmax(axis=1) == new[1]))
    assert errors[1] < errors[0] / 2


def test_where_one_temperature_does_the_power_costs_next_to_nothing() -> None:
    lost = []
    new, truth = drawn(4000, seed=99, clues=3)
    for seed in range(20):
        fitted = drawn(300, seed=seed, clues=3)
        power = choose_power(*fitted, "multi-class", np.arange(300))
        errors = []
        for chosen in (0.0, power):
            heat = fit_temperature(scaled(fitted[0], 1.0, chosen, "multi-class"), fitted[1], "multi-class")
            chances = calibrated(new, heat, chosen, "multi-class")
            errors.append(calibration_error(chances.max(axis=1), chances.argmax(axis=1) == truth))
        lost.append(errors[1] - errors[0])
    assert np.mean(lost) < 0.01
    few = half_blind(FOLDS * LEAST - 1)
    assert choose_power(*few, "multi-class", np.arange(len(few[1]))) == 0
    labels = np.eye(CLASSES, dtype=int)[(many := half_blind(300))[1]]
    assert choose_power(many[0], labels, "multi-label", np.arange(300)) == 0


def test_a_power_must_hold_for_groups_left_out() -> None:
    """Captions of 30 persons: half of them say nothing in all of theirs."""
    logits, truth = half_blind(600, seed=1)
    persons = np.repeat(np.arange(30), 20)
    assert choose_power(logits, truth, "multi-class", persons) > 0
    assert choose_power(logits, truth, "multi-class", persons // 10) == 0, "three groups prove nothing"


@given(
    arrays(np.float32, (6, 4), elements=st.floats(-300, 300, width=32)),
    st.floats(1e-3, 1e3),
    st.sampled_from(POWERS),
)
def test_no_scale_changes_the_order_of_the_classes(
    logits: np.ndarray, temperature: float, power: float
) -> None:
    chances = calibrated(logits, temperature, power, "multi-class")
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    for row, found in zip(logits, chances, strict=True):
        assert np.all(np.diff(found[np.argsort(row, kind="stable")]) >= 0)


def test_few_examples_get_no_temperature_and_very_few_no_threshold() -> None:
    logits, truth = drawn(LEAST - 1)
    assert fit_temperature(logits, truth, "multi-class") == 1.0
    for n, known in ((8, False), (9, True)):  # ceil((n + 1) 0.9) <= n from n = 9 on
        (entry,) = calibrate(
            logits[None, :n], {"audio": np.ones(n, bool)}, truth[:n], "multi-class", ALPHA
        ).values()
        assert (entry.temperature, entry.examples) == (1.0, n)
        assert (entry.threshold > 0) == known


def test_each_subset_is_fitted_on_the_examples_that_have_it() -> None:
    logits, truth = drawn(300)
    present = {"audio": np.arange(300) < 100, "video": np.arange(300) >= 60}
    many = np.stack([logits, 2 * logits, 4 * logits])
    found = calibrate(many, present, truth, "multi-class")
    assert {name: entry.examples for name, entry in found.items()} == {
        "audio": 100,
        "video": 240,
        "audio+video": 40,
    }
    expected = fit_temperature(2 * logits[60:], truth[60:], "multi-class")
    assert found["video"].power == 0
    assert found["video"].temperature == pytest.approx(expected)
    none = {"audio": np.zeros(300, bool), "video": np.ones(300, bool)}
    assert list(calibrate(many, none, truth, "multi-class")) == ["video"]


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 100), st.integers(9, 60))
def test_candidates_are_the_same_at_every_temperature(
    task: Task, seed: int, temperature: float, n: int
) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(n, 4)).astype(np.float32)
    labels = (
        random.integers(4, size=n)
        if task == "multi-class"
        else np.eye(4, dtype=int)[random.integers(4, size=n)]
    )
    limit = quantile(shortfalls(logits, labels, task), ALPHA, np.arange(n))
    new = random.normal(size=4).astype(np.float32)
    head = Head(np.eye(4, dtype=np.float32), np.zeros(4, np.float32), task)
    sets = []
    for heat in (1.0, temperature):
        probabilities = head.probabilities(new, heat)
        least = share(limit / heat, task) * (probabilities.max() if task == "multi-class" else 1)
        sets.append(set(np.flatnonzero(probabilities >= least)))
    reached = new.max() - max(limit, 0.0) if task == "multi-class" else -limit
    if np.abs(new - reached).min() > 1e-3 + 2e-4 * temperature:  # nearer ones are within the slack
        assert sets[0] == sets[1] == set(np.flatnonzero(new >= reached))


@pytest.mark.parametrize(
    "clues",
    [
        pytest.param(1.0, id="right 30 %", marks=pytest.mark.slow),
        pytest.param(6.0, id="right 90 %"),
        pytest.param(None, id="with a power"),
    ],
)
def test_coverage_lies_in_the_band_of_the_theory(clues: float | None) -> None:
    """Over 100 random splits: all is fitted on one part, and coverage measured on the other."""
    pool, n, splits = 3000, 200, 100
    logits, truth = half_blind(pool, seed=1) if clues is None else drawn(pool, seed=1, clues=clues)
    random = np.random.default_rng(2)
    scores = shortfalls(logits, truth, "multi-class")
    coverage, exact, ranks = [], [], math.ceil((n + 1) * (1 - ALPHA))
    for _ in range(splits):
        order = random.permutation(pool)
        fitted, new = order[:n], order[n:]
        (entry,) = calibrate(
            logits[None, fitted], {"audio": np.ones(n, bool)}, truth[fitted], "multi-class", ALPHA
        ).values()
        head = Head(np.eye(CLASSES, dtype=np.float32), np.zeros(CLASSES, np.float32), "multi-class")
        probabilities = head.probabilities(logits[new], entry.temperature, entry.power)
        candidates = probabilities >= entry.threshold * probabilities.max(axis=1, keepdims=True)
        coverage.append(candidates[np.arange(len(new)), truth[new]].mean())
        exact.append((scores[new] <= quantile(scores[fitted], ALPHA, fitted)).mean())
    # The coverage of m new examples is beta-binomial; the mean of 100 of them is nearly normal.
    law = betabinom(pool - n, ranks, n + 1 - ranks)
    mean, spread = law.mean() / (pool - n), law.std() / (pool - n)
    assert abs(np.mean(exact) - mean) < 4 * spread / math.sqrt(splits)
    low, high = (law.ppf(q) / (pool - n) for q in (0.025, 0.975))
    inside = np.mean([low <= found <= high for found in exact])
    assert inside > 0.9, "95 % of splits are expected in this band"
    assert np.mean(coverage) >= mean - 4 * spread / math.sqrt(splits), "sets never cover less"
    accuracy = (logits.argmax(axis=1) == truth).mean()
    assert np.mean(coverage) <= max(accuracy, mean) + 4 * spread / math.sqrt(splits)
    assert beta(ranks, n + 1 - ranks).mean() == pytest.approx(mean)


def test_multi_label_sets_hold_every_true_label_as_often_as_promised() -> None:
    pool, n, splits = 2000, 100, 200
    random = np.random.default_rng(3)
    logits = 2 * random.normal(size=(pool, 6)).astype(np.float32)
    labels = (random.uniform(size=(pool, 6)) < expit(logits)).astype(int)
    logits, labels = logits[labels.any(axis=1)], labels[labels.any(axis=1)]
    coverage = []
    for _ in range(splits):
        order = random.permutation(len(logits))
        fitted, new = order[:n], order[n:]
        (entry,) = calibrate(
            logits[None, fitted], {"audio": np.ones(n, bool)}, labels[fitted], "multi-label", ALPHA
        ).values()
        candidates = expit(logits[new] / entry.temperature) >= entry.threshold
        coverage.append((candidates | (labels[new] == 0)).all(axis=1).mean())
    rank = math.ceil((n + 1) * (1 - ALPHA))
    assert np.mean(coverage) == pytest.approx(rank / (n + 1), abs=0.01)


def test_multi_label_temperatures_undo_what_was_done_to_the_logits() -> None:
    random = np.random.default_rng(4)
    honest = 2 * random.normal(size=(2000, 6))
    labels = (random.uniform(size=honest.shape) < expit(honest)).astype(int)
    assert fit_temperature(5 * honest, labels, "multi-label") == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
@pytest.mark.parametrize("seed", range(20))
def test_rounding_parts_no_equal_inputs(task: Task, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Captions come again: many examples lie exactly at the limit, and count as covered."""
    powers = POWERS[-1:] if seed % 2 else (0.0,)
    monkeypatch.setattr(calibration, "choose_power", lambda *_: 0.0 if task == "multi-label" else powers[0])
    random = np.random.default_rng(seed)
    weight, bias = random.normal(size=(4, 8)), np.full(4, 100.0)  # what all logits have in common
    head = Head(weight.astype(np.float32), bias.astype(np.float32), task)
    inputs = random.normal(size=(3, 8)).astype(np.float32)
    chosen, classes = random.integers(3, size=60), random.integers(4, size=60)
    labels = classes if task == "multi-class" else np.eye(4, dtype=int)[classes]
    logits = head.logits(inputs[chosen])
    (entry,) = calibrate(logits[None], {"text": np.ones(60, bool)}, labels, task, ALPHA).values()
    held = []
    for row, truth in zip(chosen, classes, strict=True):  # one at a time, as live
        found = head.probabilities(np.stack([inputs[row], inputs[0]]), entry.temperature, entry.power)[0]
        held.append(found[truth] >= entry.threshold * (found.max() if task == "multi-class" else 1))
    assert np.mean(held) >= 1 - ALPHA


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_the_quantile_is_the_score_of_that_rank(scores: list[float], alpha: float) -> None:
    rank = math.ceil(round((len(scores) + 1) * (1 - alpha), 9))
    expected = math.inf if rank > len(scores) else sorted(scores)[rank - 1]
    found = quantile(np.array(scores), alpha, np.arange(len(scores)))
    # A rank that is a whole number but for rounding may be taken for the next.
    assert found == expected or abs((len(scores) + 1) * (1 - alpha) % 1 - 0.5) > 0.499


@pytest.mark.parametrize("persons", [9, 12, 40])
def test_candidates_hold_the_truth_of_a_new_person_as_often_as_promised(persons: int) -> None:
    """Of persons who differ (an intraclass correlation of 0.6), with 5 to 100 examples each."""
    random = np.random.default_rng(persons)

    def person() -> np.ndarray:
        return math.sqrt(0.6) * random.normal() + math.sqrt(0.4) * random.normal(size=random.integers(5, 100))

    held = []
    for _ in range(3000):
        known = [person() for _ in range(persons)]
        groups = np.repeat(np.arange(persons), [len(scores) for scores in known])
        limit = quantile(np.concatenate(known), ALPHA, groups)
        held.append(float((person() <= limit).mean()))
    assert np.mean(held) > 0.9 - 4 * np.std(held) / math.sqrt(len(held))
    assert np.mean(held) < 0.9 + 2 / (persons + 1)
    few = [person() for _ in range(8)]
    groups = np.repeat(np.arange(8), [len(scores) for scores in few])
    assert quantile(np.concatenate(few), ALPHA, groups) == math.inf
