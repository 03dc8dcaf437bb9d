"""Temperatures, redundancy and the threshold of sure answers, against scipy, brute force and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax
from scipy.stats import betabinom
from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import plain
from sensemble_runtime.auditing.calibration import (
    CONFIDENT,
    FOLDS,
    LEAST,
    POWERS,
    REDUNDANT,
    RISK,
    calibrate,
    choose_power,
    familiar_limit,
    fit_prior,
    fit_redundancy,
    fit_temperature,
    fit_threshold,
    least_threshold,
)
from sensemble_runtime.auditing.intervals import people_codes
from sensemble_runtime.bundle.classifier import Evidence
from sensemble_runtime.bundle.head import calibrated
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.belief import RARE
from sklearn.metrics import log_loss

World = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]

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


def test_few_examples_and_labels_that_do_not_exclude_each_other_have_no_power() -> None:
    few, many = half_blind(FOLDS * LEAST - 1), half_blind(300)
    assert choose_power(*few, "multi-class", np.arange(len(few[1]))) == 0
    labels = np.eye(CLASSES, dtype=int)[many[1]]
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


def test_few_examples_and_few_people_say_little_of_the_temperature() -> None:
    for n in (29, 30):
        assert (fit_temperature(*drawn(n), "multi-class") == 1.0) == (n < 30)
    many, labels = drawn(900, sharpness=4.0)
    there = {"audio": np.ones(900, bool)}
    heat = [
        calibrate({"audio": many}, there, labels, "multi-class", np.arange(900) % people)["audio"].temperature
        for people in (1, 3, 30, 900)
    ]
    assert heat == sorted(heat)
    assert 1 < heat[0] < 2
    assert heat[-1] == pytest.approx(4, rel=0.1)


def test_each_modality_is_fitted_on_the_examples_that_have_it() -> None:
    logits, truth = drawn(300)
    present = {"audio": np.arange(300) < 100, "video": np.arange(300) >= 60}
    found = calibrate({"audio": logits, "video": 4 * logits}, present, truth, "multi-class", np.arange(300))
    assert {name: (entry.examples, entry.groups) for name, entry in found.items()} == {
        "audio": (100, 100),
        "video": (240, 240),
    }
    assert found["video"].temperature == pytest.approx(4 * found["audio"].temperature, rel=0.2)
    none = {"audio": np.zeros(300, bool), "video": np.ones(300, bool)}
    alone = calibrate({"audio": logits, "video": logits}, none, truth, "multi-class", np.arange(300))
    assert list(alone) == ["video"]


def world(people: int, alike: float, seed: int = 0, each: int = 20, classes: int = 5) -> World:
    """Return opinions of three sensors, the truth and the groups; sensors err together by `alike`.

    People differ: some are hard for all sensors.
    """
    random = np.random.default_rng(seed)
    n = people * each
    groups = np.repeat(np.arange(people), each)
    truth = random.integers(classes, size=n)
    ease = np.repeat(random.gamma(4.0, 0.5, people), each)[:, np.newaxis]
    shared = random.normal(size=(n, classes))
    evidence = {}
    for modality in ("a", "b", "c"):
        own = math.sqrt(alike) * shared + math.sqrt(1 - alike) * random.normal(size=(n, classes))
        evidence[modality] = Evidence(softmax(1.3 * ease * np.eye(classes)[truth] + own, axis=1))
    return evidence, truth, groups


def test_sensors_that_err_together_are_found_redundant() -> None:
    found = []
    for alike in (0.0, 1.0):
        evidence, truth, _ = world(60, alike)
        found.append(
            fit_redundancy(evidence, {m: np.ones(1200, bool) for m in evidence}, truth, "multi-class")
        )
    assert found[0] <= 0.1
    assert found[1] >= 0.3
    few = {m: own.take(np.arange(LEAST - 1)) for m, own in evidence.items()}
    there = {m: np.ones(LEAST - 1, bool) for m in evidence}
    assert fit_redundancy(few, there, truth[: LEAST - 1], "multi-class") == REDUNDANT


def test_a_prior_is_counted_once_where_classes_are_unequal() -> None:
    random, n = np.random.default_rng(0), 600
    there = dict.fromkeys("abc", np.ones(n, bool))
    for prior in (np.array([0.7, 0.15, 0.1, 0.05]), np.full(4, 0.25)):
        truth = random.choice(4, n, p=prior)
        logs = [2 * np.eye(4)[truth] + 1.5 * random.normal(size=(n, 4)) for _ in there]
        evidence = {m: Evidence(softmax(np.log(prior) + x, axis=1)) for m, x in zip(there, logs, strict=True)}
        found = fit_prior(evidence, there, truth, "multi-class")
        if prior[0] > prior[1]:
            assert found is not None
            np.testing.assert_allclose(found, prior, atol=0.05)
        assert fit_prior(evidence, there, np.eye(4, dtype=int)[truth], "multi-label") is None


def test_the_redundancy_of_labels_that_do_not_exclude_each_other_is_the_likeliest() -> None:
    evidence, truth, _ = world(20, 0.5)
    labels, there = np.eye(5, dtype=int)[truth], {m: np.ones(len(truth), bool) for m in evidence}

    def cost(redundancy: float) -> float:
        fused = plain(
            evidence, [one for one in subsets.subsets(evidence) if len(one) > 1], redundancy, "multi-label"
        )
        return float(sum(log_loss(labels.ravel(), chances.ravel()) for chances in fused.values()))

    found = fit_redundancy(evidence, there, labels, "multi-label")
    assert found == min((step / 10 for step in range(11)), key=cost)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0.02, 0.5), st.sampled_from([1, 2, 5]))
def test_the_threshold_is_the_least_that_keeps_the_risk(
    seed: int, people: int, risk: float, each: int
) -> None:
    """Against the definition, tried at every confidence."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(people), each)
    confidences = random.uniform(size=len(groups)).astype(np.float32)
    wrong = random.uniform(size=len(groups)) < 0.3

    def kept(threshold: float) -> bool:
        shares = [(wrong & (confidences >= threshold))[groups == g].mean() for g in range(people)]
        return (sum(shares) + max(shares)) / (people + 1) <= risk + 1e-9

    found = least(confidences, wrong, groups, risk)
    assert kept(found)
    lower = confidences[confidences < found]
    assert not lower.size or found == 0 or not kept(float(lower.max()))


@pytest.mark.parametrize("people", [19, 40])
def test_a_new_person_gets_at_most_the_promised_share_of_sure_and_wrong_answers(people: int) -> None:
    """Over 100 draws of people: the mean share, of each set, of which each of several sensors lies in 2 %."""
    shares: dict[str, list[float]] = {}
    for draw in range(100):
        drawn, truth, groups = world(people + 5, 0.3, seed=draw, each=10)
        old = groups < people
        there = {m: np.ones(old.sum(), bool) for m in drawn}
        known = {m: own.take(old) for m, own in drawn.items()}
        threshold, count = fit_threshold(known, there, truth[old], "multi-class", groups[old], 0.3)
        assert count == people
        new = {m: own.take(~old) for m, own in drawn.items()}
        others = np.roll(np.arange((~old).sum()), 10)  # of the next person
        for subset in subsets.measured(new):
            liars = subset if len(subset) > 1 else ()
            total = 0.0
            for liar in ("", *liars):
                evidence = new | ({liar: new[liar].take(others)} if liar else {})
                fused = plain(evidence, [subset], 0.3, "multi-class")[subset]
                bad = (fused.max(axis=1) >= threshold) & (fused.argmax(axis=1) != truth[~old])
                total += float(bad.mean()) * (RARE if liar else 1 - RARE * len(liars))
            shares.setdefault("+".join(subset), []).append(total)
    for name, found in shares.items():
        assert np.mean(found) <= RISK + 2 * np.std(found) / 10, name


def least(confidences: np.ndarray, wrong: np.ndarray, groups: np.ndarray, risk: float = RISK) -> float:
    """The least threshold of one kind of answers."""
    return least_threshold(confidences[np.newaxis], wrong[np.newaxis], np.ones(1), groups, risk)


def test_answers_of_a_liar_count_as_often_as_sensors_lie() -> None:
    """One answer of 50 may be sure and wrong by itself; each answer with a liar is, and is one in 50."""
    groups, confidences = np.arange(40).repeat(50), np.array([[0.9], [0.8]]).repeat(2000, axis=1)
    wrong = np.array([np.arange(2000) % 50 == 0, np.ones(2000, bool)])
    for share, expected in ((0.02, 0.0), (0.04, 0.8), (1.0, 0.8)):
        found = least_threshold(confidences, wrong, np.array([1 - share, share]), groups, RISK)
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("people", [19, 24, 40, 60])
@pytest.mark.parametrize(("error", "alike", "disaster"), [(0.08, 2, 0), (0.3, 8, 0), (0.08, 40, 0.05)])
def test_the_promise_holds_for_people_of_every_sort_and_wastes_little(
    people: int, error: float, alike: float, disaster: float
) -> None:
    """Rates of error are beta-distributed, and some people get nothing but sure and wrong answers.

    The bound of 1, which no person can pass, held back twice as many right answers as the truth asks for.
    """
    random = np.random.default_rng(people)

    def drawn_people(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        errors = betabinom.rvs(20, error * alike, (1 - error) * alike, size=count, random_state=random)
        errors = np.where(random.random(count) < disaster, 20, errors)
        wrong = (np.arange(20) < errors[:, None]).ravel()
        clear = np.where(wrong, 0.9, 2.6) + random.normal(size=wrong.size)
        clear += np.where(random.random(count) < 0.5, 0.6, -0.6).repeat(20)
        return expit(clear), wrong, np.arange(count).repeat(20)

    confidences, wrong, _ = drawn_people(20_000)
    found = [least(*drawn_people(people)) for _ in range(200)]
    spent = [float((wrong & (confidences >= one)).mean()) for one in found]
    assert np.mean(spent) <= RISK, "of a new person, on average over the draws of people"
    best = min(one for one in np.linspace(0, 1, 1001) if (wrong & (confidences >= one)).mean() <= RISK)
    held, needed = ((~wrong & (confidences < one)).sum() / (~wrong).sum() for one in (np.mean(found), best))
    assert held < needed + 0.15


def test_one_answer_a_person_is_the_case_in_which_nobody_passes_one() -> None:
    """There the bound is 1: at most one of 39 people may be sure and wrong, and none of 38."""
    confidences, wrong = np.linspace(0.99, 0.5, 39), np.ones(39, bool)
    for people, allowed in ((39, 1), (38, 0), (19, 0)):
        own = confidences[:people]
        found = least(own, wrong[:people], np.arange(people))
        assert (own >= found).sum() == allowed


def test_too_few_people_promise_nothing_and_get_answers() -> None:
    evidence, truth, groups = world(18, 0.3)
    there = {m: np.ones(len(truth), bool) for m in evidence}
    threshold, count = fit_threshold(evidence, there, truth, "multi-class", groups, 0.3)
    assert (threshold, count) == (CONFIDENT, 18)


def test_examples_of_nobody_promise_nothing_about_people() -> None:
    """45 files without a group, or takes of one sitting, were 45 people."""
    evidence, truth, groups = world(45, 0.3, each=1)
    there = {m: np.ones(len(truth), bool) for m in evidence}
    assert fit_threshold(evidence, there, truth, "multi-class", groups, 0.3)[1] == 45
    for people, count in ((people_codes([None] * 45), 0), (people_codes(["one sitting"] * 45), 1)):
        found = fit_threshold(evidence, there, truth, "multi-class", people, 0.3)
        assert found == (CONFIDENT, count)
    some = people_codes([f"{g}" if g < 20 else None for g in groups])
    assert fit_threshold(evidence, there, truth, "multi-class", some, 0.3)[1] == 20


def test_a_set_without_examples_has_no_promise_and_what_is_always_right_is_sure_from_a_majority_on() -> None:
    evidence, truth, groups = world(40, 0.3)
    perfect = {m: Evidence(0.6 * np.eye(5)[truth] + 0.08) for m in evidence}
    there = {m: np.ones(len(truth), bool) for m in evidence}
    fixed: tuple[Task, np.ndarray, float] = ("multi-class", groups, 0.3)
    assert fit_threshold(perfect, there, truth, *fixed) == (0.5, 40)
    classes = np.where(np.arange(len(truth)) % 25 == 0, (truth + 1) % 5, truth)  # 4 % are wrong
    both = {"a": Evidence(0.9 * np.eye(5)[classes] + 0.02), "b": Evidence(0.1 * np.eye(5)[truth] + 0.18)}
    alone, pair = (
        fit_threshold({m: both[m] for m in some}, {m: there[m] for m in some}, truth, *fixed)[0]
        for some in ("a", "ab")
    )
    assert (alone, pair > 0.5) == (0.5, True), "by a's lies, which are believed"
    never = there | {"a": groups < 20, "b": groups >= 20}
    assert fit_threshold(perfect, never, truth, *fixed) == (CONFIDENT, 0)


def test_no_person_loses_many_windows_as_unfamiliar() -> None:
    """A third of one person's windows were left out, though 2 % of all were."""
    random = np.random.default_rng(0)
    scores, groups = random.normal(size=1000), np.repeat(np.arange(10), 100)
    scores[groups == 3] -= 1
    everybody = familiar_limit(scores, np.arange(1000))
    assert (scores[groups == 3] < everybody).mean() > 0.05
    limit = familiar_limit(scores, groups)
    assert 0 < (scores < limit).mean() <= 0.02
    assert max((scores[groups == g] < limit).mean() for g in range(10)) <= 0.05
    assert familiar_limit(scores[:30], groups[:30]) == scores[:30].min()


def test_multi_label_temperatures_undo_what_was_done_to_the_logits() -> None:
    random = np.random.default_rng(4)
    honest = 2 * random.normal(size=(2000, 6))
    labels = (random.uniform(size=honest.shape) < expit(honest)).astype(int)
    assert fit_temperature(5 * honest, labels, "multi-label") == pytest.approx(5, rel=0.1)
