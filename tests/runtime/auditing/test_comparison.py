"""Two audits compared, against SciPy and statsmodels on random data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sensemble_runtime.auditing.comparison import GroupChange, compared, equivalence, holm, mcnemar
from sensemble_runtime.auditing.intervals import difference, effective_size
from sensemble_runtime.auditing.reliability import Answered, Outcomes
from sensemble_runtime.errors import ComparisonError
from sensemble_runtime.scores import Estimate


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 60))
    return draw(nps.arrays(np.bool_, n)), draw(nps.arrays(np.bool_, n))


@given(pairs())
def test_mcnemar_is_that_of_statsmodels(pair: tuple[np.ndarray, np.ndarray]) -> None:
    from statsmodels.stats.contingency_tables import mcnemar as oracle  # only here, for it takes 2 s

    first, second = pair
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), 0]]
    p, found = (test(first, second, np.arange(len(first))) for test in (mcnemar, difference))
    if (first != second).any():
        assert p == pytest.approx(oracle(table, exact=False, correction=False).pvalue)
    assert (p < 0.05) == (found.low > 0 or found.high < 0)


def test_of_groups_that_change_together_mcnemar_counts_groups() -> None:
    gained = np.repeat(np.arange(20) < 12, 8)  # each group as a whole
    none = np.zeros(160, bool)
    together, apart = np.repeat(np.arange(20), 8), np.arange(160)
    few = effective_size(gained, together) / 20  # 0.88, as few groups show how alike they are
    assert mcnemar(gained, none, together) == pytest.approx(2 - 2 * NormalDist().cdf(math.sqrt(12 * few)))
    assert mcnemar(gained, none, apart) < 1e-20
    assert mcnemar(gained, none, np.stack([apart, together], axis=1)) == mcnemar(gained, none, together)
    assert mcnemar(none, none, together) == 1


def test_it_calls_no_difference_one_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(15), 8)
    alarms = 0
    for _ in range(300):
        lean = draw.normal(size=(2, 15))[:, groups]  # each side has people of whom it is right more often
        first, second = draw.random((2, 120)) < 1 / (1 + np.exp(-1 - lean))
        alarms += mcnemar(first, second, groups) < 0.05
    assert alarms / 300 < 0.08


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05])
def test_equivalence_is_two_one_sided_tests(shift: float) -> None:
    from statsmodels.stats.weightstats import ttost_paired

    draw = np.random.default_rng(1)
    first = draw.random(5000) < 0.85
    second = first ^ (draw.random(5000) < 0.03) & (first | (draw.random(5000) > shift))
    expected, *_ = ttost_paired(first.astype(float), second.astype(float), -0.01, 0.01)
    assert equivalence(first, second, np.arange(5000), 0.01) == pytest.approx(expected, abs=0.01)


def test_of_equal_answers_groups_are_as_alike_as_in_what_is_right() -> None:
    groups = np.repeat(np.arange(8), 200)
    apart = np.arange(1600) % 10 > 0  # each person as often right as the others
    together = groups < 7  # one is never right
    for right, widest in ((apart, 0.02), (together, 1.0)):
        found = difference(right, right, groups)
        assert found.value == 0
        assert found.high - found.low < widest
    assert found.high - found.low > 0.5


def test_holm_is_that_of_statsmodels() -> None:
    """On few lists, for statsmodels searches for garbage each time, which takes half a second here."""
    from statsmodels.stats.multitest import multipletests

    drawn = np.random.default_rng(0).random(12) ** 3
    for ps in ([0.2], [0.0, 0.02, 0.02, 1.0], [0.01, 0.4, 0.4, 0.4], drawn.tolist()):
        assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]))


def answered(
    right: Mapping[str, Sequence[bool]],
    ids: Sequence[str] = (),
    named: Sequence[tuple[str, ...]] = (),
    contents: Sequence[str] = (),
) -> Answered:
    """Return sure answers, each right or wrong; the examples are named a, b, and so on."""
    ids = ids or [chr(ord("a") + place) for place in range(len(next(iter(right.values()))))]
    return Answered(
        list(ids),
        [("one",)] * len(ids),
        np.arange(len(ids)),
        ("one", "two"),
        {
            name: Outcomes(
                np.full(len(some), 0.9),
                np.array(some),
                np.ones(len(some), bool),
                np.where(some, 0, 1),
                np.arange(len(some)),
            )
            for name, some in right.items()
        },
        named or [()] * len(ids),
        contents or list(ids),
    )


def test_each_person_has_a_change() -> None:
    persons = [("ann",), ("ann", "pen 1"), ("ben",), ()]
    a = answered({"audio": [True, True, True, True]}, named=persons)
    b = answered({"audio": [True, False, True, False]})
    assert compared(a, b).sets["audio"].groups == (
        GroupChange("ann", 2, 1.0, 0.5, 0, 1),
        GroupChange("ben", 1, 1.0, 1.0, 0, 0),
    )


def test_the_flips_of_each_set_are_named_both_ways() -> None:
    a = answered({"audio": [True, True, True, False, False, False], "video": [True] * 6})
    b = answered({"audio": [True, False, True, True, True, False]})
    found = compared(a, b)
    assert list(found.sets) == ["audio"]
    one = found.sets["audio"]
    assert (one.gained, one.lost) == (("d", "e"), ("b",))
    assert one.change.value == pytest.approx(1 / 6)
    assert one.wrong.value == pytest.approx(-1 / 6)
    assert (one.n, one.p, one.adjusted) == (6, pytest.approx(0.5637, abs=1e-4), one.p)
    assert not one.equivalent
    assert found.drop.value == pytest.approx(-1 / 6)
    assert str(found).startswith("audio: 50.0 to 66.7 % right of 6 examples, ")


@settings(max_examples=20)
@given(st.permutations("abcdef"), st.integers(1, 6))
def test_examples_are_paired_by_their_names(order: list[str], kept: int) -> None:
    a = answered({"audio": [name in "ace" for name in "abcdef"]})
    b = answered({"audio": [name in "ace" for name in order[:kept]]}, order[:kept])
    found = compared(a, b)
    assert (found.examples, found.only) == (kept, (6 - kept, 0))
    assert (found.sets["audio"].gained, found.sets["audio"].lost) == ((), ())


def test_answers_of_one_model_do_not_differ_at_all() -> None:
    a = answered({"audio": [True] * 20 + [False] * 4})
    one = compared(a, a).sets["audio"]
    assert one.change == one.wrong == one.unsure == Estimate(0, 0, 0)
    assert one.equivalent
    other = replace(a.sets["audio"], confidences=a.sets["audio"].confidences - 0.01)
    alike = compared(a, replace(a, sets={"audio": other})).sets["audio"]
    assert alike.change.low < alike.change.value == 0 < alike.change.high


def test_what_has_nothing_in_common_is_refused() -> None:
    a = answered({"audio": [True] * 6})
    for other, message in (
        (answered({"audio": [True] * 6}, "uvwxyz"), "no example in common"),
        (answered({"video": [True] * 6, "text": [True] * 6}), "no live set is in both"),
        (replace(a, truth=[("two",)] * 6), "'a' is one in A and two in B"),
        (replace(a, contents=["other"] * 6), "'a' is other data in A than in B"),
    ):
        with pytest.raises(ComparisonError, match=message):
            compared(a, other)
    for margin in (float("nan"), -1.0, 0.0, 5.0):
        with pytest.raises(ComparisonError, match="give a number between 0 and 1"):
            compared(a, a, margin)
