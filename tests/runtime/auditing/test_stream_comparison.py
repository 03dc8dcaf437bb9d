"""Two audits of streams compared, against SciPy and statsmodels."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.auditing.moment_measures import poisson_interval
from sensemble_runtime.auditing.stream_comparison import compare_streams, equally_false
from sensemble_runtime.auditing.stream_gate import is_of_streams
from sensemble_runtime.errors import ComparisonError
from sensemble_runtime.scores import StreamScore

HOURS, SPANS = 2.0, 90


def scored(found: int, false: int, subset: str = "audio", condition: str = "") -> StreamScore:
    low, high = (end / HOURS for end in poisson_interval(false))
    share, rate = found / SPANS, false / HOURS
    rest = (false, 0, rate, low, high, 0.4, 1.2, None, None, ())
    return StreamScore(subset, condition, HOURS, SPANS, share, *wilson(found, SPANS), *rest)


@given(st.integers(0, 60), st.integers(0, 60))
def test_counts_of_false_events_are_compared_as_by_scipy(before: int, after: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(before, before + after).pvalue if before + after else 1.0
    assert equally_false(before, after) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("found>=0.9", True), (" false_per_hour.audio<=2", True), ("found_cam>=0.5", False)],
)
def test_a_sensor_whose_name_begins_alike_has_criteria_of_its_own(text: str, *, expected: bool) -> None:
    assert is_of_streams(text) == expected


@given(st.integers(0, SPANS), st.integers(0, SPANS))
def test_what_is_found_is_compared_as_by_statsmodels(before: int, after: int) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep  # only here, for it takes 2 s

    (one,) = compare_streams([scored(before, 3)], [scored(after, 4)])
    assert one.found is not None
    low, high = confint_proportions_2indep(after, SPANS, before, SPANS, method="newcomb")
    assert (one.found.low, one.found.high) == pytest.approx((low, high), abs=1e-9)
    assert one.found.value == pytest.approx((after - before) / SPANS)


@pytest.mark.parametrize(
    ("before", "after", "better", "worse"),
    [
        ((40, 3), (70, 3), True, False),  # finds more
        ((70, 20), (70, 3), True, False),  # tells less that is false
        ((70, 3), (40, 3), False, True),
        ((40, 3), (70, 20), False, False),  # buys one by the other
        ((60, 3), (62, 4), False, False),  # chance
        ((70, 3), (70, 3), False, False),
    ],
)
def test_better_is_what_gains_beyond_chance_and_loses_nothing(
    before: tuple[int, int], after: tuple[int, int], better: bool, worse: bool
) -> None:
    (one,) = compare_streams([scored(*before)], [scored(*after)])
    assert (one.better, one.worse) == (better, worse)


def test_sets_and_conditions_are_paired_and_what_one_side_lacks_is_left_out() -> None:
    a = [scored(50, 1), scored(60, 1, "audio+text"), scored(30, 2, condition="audio=far:3")]
    b = [scored(20, 2, condition="audio=far:3"), scored(51, 1), scored(9, 9, "text")]
    found = compare_streams(a, b)
    assert [(one.after.subset, one.after.condition) for one in found] == [
        ("audio", "audio=far:3"),
        ("audio", ""),
    ]
    assert [one.before for one in found] == [a[2], a[0]]


def test_the_same_scores_leave_nothing_to_chance() -> None:
    (one,) = compare_streams([scored(50, 1)], [scored(50, 1)])
    assert one.found is not None
    assert (one.found.low, one.found.high, one.p) == (0, 0, 1)


def test_streams_without_a_span_have_false_events_alone() -> None:
    quiet = replace(scored(0, 12), spans=0, found=None)
    (one,) = compare_streams([quiet], [replace(quiet, false=1)])
    assert one.found is None
    assert one.better
    assert math.isclose(one.p, equally_false(12, 1))


@pytest.mark.parametrize("other", [{"hours": 1.0}, {"spans": 89}, {"subset": "video"}])
def test_other_streams_or_sets_do_not_compare(other: dict[str, object]) -> None:
    with pytest.raises(ComparisonError, match=r"no set of sensors|on one data set"):
        compare_streams([scored(50, 1)], [replace(scored(50, 1), **other)])  # type: ignore[arg-type]
