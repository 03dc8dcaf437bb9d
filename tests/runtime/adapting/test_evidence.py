import numpy as np
import pytest
from scipy.stats import binomtest
from sensemble_runtime.adapting.evidence import FRACTIONS, Wealth

RUNS, LENGTH = 150, 120


def highest(outcomes: np.ndarray, *, restarts: bool = False) -> float:
    wealth, most = Wealth(restarts=restarts), 0.0
    for outcome in outcomes:
        wealth.add(outcome)
        most = max(most, wealth.total)
    return most


@pytest.mark.parametrize("kind", ["fair coin", "rare gains", "no news", "worse when it was better"])
def test_without_an_effect_wealth_reaches_20_in_at_most_a_twentieth_of_all_runs(kind: str) -> None:
    rng = np.random.default_rng(0)
    reached = 0
    for _ in range(RUNS):
        match kind:
            case "fair coin":
                outcomes = rng.choice([-1.0, 1.0], LENGTH)
            case "rare gains":
                outcomes = rng.choice([1.0, -0.25], LENGTH, p=[0.2, 0.8])
            case "no news":
                outcomes = rng.choice([-1.0, 0.0, 1.0], LENGTH, p=[0.1, 0.8, 0.1])
            case _:
                outcomes = np.repeat([1.0, -1.0], LENGTH // 2) * rng.choice([-1.0, 1.0])
                outcomes = rng.permutation(outcomes)
        reached += highest(outcomes) >= 20
    # At most 5 %, with what chance adds.
    assert binomtest(reached, RUNS, 0.05, alternative="greater").pvalue > 0.001, reached


def test_wealth_is_the_mean_of_products_whatever_the_order_of_looks() -> None:
    outcomes = np.random.default_rng(1).uniform(-1, 1, 40)
    wealth = Wealth()
    for outcome in outcomes:
        wealth.add(outcome)
    expected = np.mean([np.prod(1 + share * outcomes) for share in FRACTIONS])
    assert wealth.total == pytest.approx(expected)


def test_an_effect_is_found_about_as_soon_as_a_sign_test_would_find_it() -> None:
    rng = np.random.default_rng(2)
    needed = []
    for _ in range(200):
        wealth, n = Wealth(), 0
        while wealth.total < 20:
            n += 1
            wealth.add(rng.choice([1.0, -1.0], p=[0.75, 0.25]))
        needed.append(n)
    # A sign test looked at once, of as many windows as half of the runs needed, would just have found it.
    n = int(np.median(needed))
    assert n < 40
    assert binomtest(round(0.75 * n), n, 0.5, alternative="greater").pvalue < 0.05


def test_a_late_change_is_found_by_the_one_that_restarts_alone() -> None:
    outcomes = np.concatenate([np.full(400, -0.5), np.full(20, 0.8)])
    assert highest(outcomes, restarts=True) > 100
    assert highest(outcomes) < 20


def test_false_alarms_of_the_one_that_restarts_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(3)
    waits = []
    for _ in range(15):
        wealth, n = Wealth(restarts=True), 0
        while wealth.total < 100 and n < 1000:
            n += 1
            wealth.add(rng.choice([-1.0, 1.0]))
        waits.append(n)
    assert np.mean(waits) > 100


def test_wealth_stays_finite() -> None:
    wealth = Wealth()
    for _ in range(20_000):
        wealth.add(1.0)
    assert np.isfinite(wealth.total)
