from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from scipy.special import expit
from scipy.stats import binomtest
from scipy.stats import t as student_t
from sensemble_runtime.auditing.intervals import (
    bootstrapped,
    combined,
    effective_size,
    group_codes,
    independent,
    proportion,
    scored,
    student,
    student_tail,
    wilson,
)
from sensemble_runtime.auditing.metrics import (
    RESAMPLES,
    ScoreError,
    Task,
    average_precisions,
    resamples,
    score,
    score_subsets,
)
from sensemble_runtime.scores import SubsetScore
from sklearn.metrics import average_precision_score

shapes = nps.array_shapes(min_dims=2, max_dims=2, max_side=12)
# Few distinct values, so that ties are common: they are where average precisions differ.
coarse = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])


@given(st.data(), shapes)
def test_mean_average_precision_is_that_of_sklearn(data: st.DataObject, shape: tuple[int, int]) -> None:
    probabilities = data.draw(nps.arrays(np.float32, shape, elements=coarse))
    labels = data.draw(nps.arrays(np.bool_, shape))
    if not labels.any():
        labels[0, 0] = True
    found = score(probabilities, labels, "multi-label")
    occurring = labels.any(axis=0)
    assert found == pytest.approx(
        average_precision_score(labels[:, occurring], probabilities[:, occurring], average="macro")
    )


def test_a_subset_is_scored_on_the_examples_that_have_all_of_it() -> None:
    has = {"video": [True, True, False], "audio": [True, False, True], "text": [False, False, False]}
    present = {modality: np.array(rows) for modality, rows in has.items()}
    predictions = np.zeros((7, 3, 2), np.float32)
    predictions[..., 0] = 0.5  # everybody says 0,
    predictions[2, 1] = 0, 1  # but video alone of the second
    found = score_subsets(predictions, present, np.zeros(3, int), "multi-class")
    assert found == {"audio": 1.0, "video": 0.5, "audio+video": 1.0}


HALF = np.full((2, 3), 0.5, np.float32)


@pytest.mark.parametrize(
    ("probabilities", "labels", "task", "message"),
    [
        (HALF[0], np.zeros(2, int), "multi-class", r"\(3,\)"),
        (HALF[:0], np.zeros(0, int), "multi-class", r"\(0, 3\)"),
        (HALF * np.nan, np.zeros(2, int), "multi-class", "NaN"),
        (HALF, np.zeros(3, int), "multi-class", r"not integers \(2,\)"),
        (HALF, np.zeros(2), "multi-class", "float64"),
        (HALF, np.array([0, 3]), "multi-class", r"\[0, 3\], not in \[0, 2\]"),
        (HALF, np.array([-1, 0]), "multi-class", r"\[-1, 0\]"),
        (HALF, np.array([0, 1]), "multi-label", r"not zeros and ones \(2, 3\)"),
        (HALF, np.full((2, 3), 2), "multi-label", "not zeros and ones"),
        (HALF, np.zeros((2, 3), bool), "multi-label", "no positive"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    probabilities: np.ndarray, labels: np.ndarray, task: Task, message: str
) -> None:
    with pytest.raises(ScoreError, match=message):
        score(probabilities, labels, task)


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_wilson_is_that_of_scipy(n: int, share: float) -> None:
    successes = round(share * n)
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.floats(0.1, 1e6), st.floats(0, 1))
def test_wilson_holds_its_estimate_at_any_size(n: float, share: float) -> None:
    low, high = wilson(share * n, n)
    assert 0 <= low <= share * n / n <= high <= 1
    assert low < high


def test_an_example_without_a_group_is_alone() -> None:
    assert group_codes(["a", None, "a", None, "b", "1"]).tolist() == [0, 1, 0, 2, 3, 4]


def test_the_grouping_counts_that_makes_an_interval_wider() -> None:
    names = [(f"voice {i % 50}", f"writer {i % 4}") for i in range(400)]
    codes = group_codes([*names, ()])
    assert codes.shape == (401, 2)
    assert codes[-1].tolist() == [4, 50], "the way of the fewest groups first"
    assert (independent(codes[:-1]), independent(codes[:-1, 1])) == (4, 50)
    groups = codes[:-1]
    by_writer, by_voice = groups.T
    for correct in (by_writer == 0, by_voice % 3 == 0):
        sizes = [effective_size(correct, way) for way in (by_voice, by_writer)]
        assert effective_size(correct, groups) == min(sizes)
    ranking = np.random.default_rng(0).random((400, 2))
    tags = np.stack([by_writer == 0, by_writer != 0], axis=1)
    every = np.ones(400, bool)
    found, by_few = (scored(ranking, tags, "multi-label", g, every)[0] for g in (groups, by_writer))
    assert found == by_few


@given(st.randoms(), st.booleans())
def test_the_order_of_an_examples_groups_means_nothing(random: Random, several_days: bool) -> None:
    """Alternating [day, person] and [person, day] made 22 people of 4 days."""
    names = [(f"day {i % 22 % 4 if not several_days else i % 4}", f"person {i % 22}") for i in range(220)]
    shuffled = [tuple(random.sample(one, 2)) for one in names]
    expected = group_codes(names)
    assert independent(expected) == 4
    assert expected.ndim == 1 + several_days, "people who each came on one day lie within the days"
    np.testing.assert_array_equal(group_codes(shuffled), expected)


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 40))
    correct = draw(nps.arrays(np.bool_, n))
    return correct, draw(nps.arrays(np.int64, n, elements=st.integers(0, 5)))


@given(st.integers(1, 100_000), st.sampled_from([0.5, 0.95, 0.99]))
def test_students_bound_is_that_of_scipy(freedom: int, level: float) -> None:
    assert student(level, freedom) == pytest.approx(student_t.ppf((1 + level) / 2, freedom), rel=1e-5)
    t = np.array([0.0, 0.5, 2.0, 8.0])
    assert student_tail(t, freedom) == pytest.approx(2 * student_t.sf(t, freedom), rel=1e-3)


@given(answers())
def test_no_group_counts_for_more_than_its_examples(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    correct, groups = drawn
    assert 0 < effective_size(correct, groups) <= len(correct)
    low, high = proportion(correct, groups)
    assert low <= correct.mean() <= high


def test_what_groups_share_is_not_counted_twice() -> None:
    groups = np.repeat(np.arange(20), 10)
    alone = np.arange(200)
    together = groups % 2 == 0  # a group is right or wrong as a whole
    apart = np.arange(200) % 2 == 0  # half of each group is right
    few = (1.959964 / student_t.ppf(0.975, 19)) ** 2
    assert effective_size(together, groups) == pytest.approx(20 * few)
    assert effective_size(apart, groups) == pytest.approx(200 * few)
    assert effective_size(together, alone) == 200
    assert proportion(together, groups) == pytest.approx(wilson(10 * few, 20 * few))
    assert proportion(together, alone) == pytest.approx(wilson(100, 200))


def test_all_right_shows_nothing_of_what_groups_share() -> None:
    few = (1.959964 / student_t.ppf(0.975, 19)) ** 2
    assert effective_size(np.ones(200, bool), np.repeat(np.arange(20), 10)) == pytest.approx(20 * few)
    assert proportion(np.ones(13, bool), np.arange(13)) == pytest.approx((wilson(13, 13)[0], 1))
    assert effective_size(np.ones(9, bool), np.zeros(9, int)) == 1


@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_intervals_hold_the_truth_as_often_as_they_say(rho: float) -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 10)
    held, naive = 0, 0
    for _ in range(400):
        rates = random.beta(0.6 / rho - 0.6, 0.4 / rho - 0.4, 20)
        correct = random.random(200) < rates[groups]
        low, high = proportion(correct, groups)
        held += low <= 0.6 <= high
        low, high = wilson(correct.sum(), 200)
        naive += low <= 0.6 <= high
    assert 0.93 < held / 400 < 0.99
    assert naive < held - 10, "what counting every example would have cost"


def test_resamples_draw_whole_groups_and_the_same_again() -> None:
    groups = np.array([4, 4, 9, 2, 9, 4])
    (weights,) = resamples(groups)
    assert weights.shape == (6, RESAMPLES)
    assert (weights[0] == weights[1]).all()
    assert (weights[2] == weights[4]).all()
    assert (weights[[0, 2, 3]].sum(axis=0) == 3).all()
    (again,) = resamples(groups)
    assert (weights == again).all()


@settings(max_examples=25)
@given(st.data(), nps.array_shapes(min_dims=2, max_dims=2, max_side=9))
def test_a_resample_scores_as_its_examples_do(data: st.DataObject, shape: tuple[int, int]) -> None:
    probabilities = data.draw(nps.arrays(np.float32, shape, elements=coarse))
    labels = data.draw(nps.arrays(np.bool_, shape))
    groups = data.draw(nps.arrays(np.int64, shape[0], elements=st.integers(0, 3)))
    labels[0, 0] = True
    has = data.draw(nps.arrays(np.bool_, shape[0]))
    has[0] = True
    found = average_precisions(probabilities, labels, groups, has)
    (weights,) = resamples(groups)
    for column in range(20):
        rows = np.repeat(np.arange(shape[0]), has * weights[:, column])
        if labels[rows].any():
            assert found[column] == pytest.approx(score(probabilities[rows], labels[rows], "multi-label"))
        else:
            assert np.isnan(found[column])


def test_perfect_rankings_of_a_few_are_not_certain() -> None:
    assert bootstrapped(np.ones(RESAMPLES), 1.0, 13) == wilson(13, 13)
    assert bootstrapped(np.linspace(0.4, 0.6, 99), 0.5, 1) == wilson(0.5, 1), "one group shows no spread"
    spread = np.linspace(0.4, 0.6, 99)
    half = student_t.ppf(0.975, 29) * spread.std() / 0.25
    assert bootstrapped(spread, 0.5, 30) == pytest.approx(tuple(expit([-half, half])), rel=1e-4)


def test_a_resample_in_which_a_score_has_no_positive_tells_nothing_of_two_scores() -> None:
    scores = SubsetScore(0.6, 40, 0.5, 0.7), SubsetScore(0.5, 40, 0.35, 0.6)
    rows = np.random.default_rng(0).normal([[0], [1]], 0.1, (2, 50)) + np.linspace(0, 1, 50)
    more = np.column_stack([rows, [np.nan, 0.3]])
    assert combined(scores, (1.0, -1.0), list(more)) == combined(scores, (1.0, -1.0), list(rows))


@given(nps.arrays(np.float64, 50, elements=st.floats(0, 1)), st.floats(0, 1), st.integers(1, 500))
def test_a_bootstrap_holds_its_value_within_bounds(resampled: np.ndarray, value: float, groups: int) -> None:
    low, high = bootstrapped(resampled, value, groups)
    assert 0 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1


def test_too_few_examples_say_so() -> None:
    assert SubsetScore(1.0, 13, *wilson(13, 13)).too_few
    assert not SubsetScore(1.0, 400, *wilson(400, 400)).too_few
