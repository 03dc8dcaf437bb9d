"""Measures of moments and states in streams, against scipy, scikit-learn's metrics and brute force."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from sensemble_runtime.auditing.moment_measures import (
    Told,
    delays,
    edit_score,
    match,
    mistaken,
    poisson_interval,
    segments_f1,
)
from sensemble_runtime.bundle.manifest import poisson_bound
from sensemble_sensors import Span

LABELS = st.sampled_from("ab")
TIMES = st.integers(0, 12)
MOMENTS = st.lists(st.builds(lambda label, at: Told(label, at - 1, at, at), LABELS, TIMES), max_size=5)
SPANS = st.lists(
    st.builds(lambda a, n, label: Span(a, a + n, label), TIMES, st.integers(1, 4), LABELS), max_size=5
)


def most_found(told: list[Told], spans: list[Span], late: float) -> int:
    """Return how many spans can be found at most, by trying every assignment."""

    def fits(one: Told, span: Span) -> bool:
        return one.label == span.label and span.begin <= one.at <= span.end + late

    for size in range(min(len(told), len(spans)), 0, -1):
        for some in combinations(range(len(spans)), size):
            for order in permutations(range(len(told)), size):
                if all(fits(told[i], spans[j]) for i, j in zip(order, some, strict=True)):
                    return size
    return 0


@given(MOMENTS, SPANS, st.sampled_from([0.0, 1.0, 2.5]))
def test_as_many_spans_are_found_as_can_be_and_each_moment_counts_once(
    told: list[Told], spans: list[Span], late: float
) -> None:
    matching = match(told, spans, late)
    assert len(matching.found) == most_found(told, spans, late)
    assert sorted([*matching.found.values(), *matching.false]) == list(range(len(told)))
    assert all(delay <= late for delay in delays(told, spans, matching))


def test_what_is_told_twice_or_wrong_is_false() -> None:
    spans = [Span(1, 2, "a"), Span(5, 6, "b")]
    told = [Told("a", 1, 2, 2.3), Told("a", 1, 2, 2.8), Told("a", 5, 6, 6.2), Told("b", 5, 6, 7.6)]
    matching = match(told, spans)
    assert matching.found == {0: 0}
    assert matching.false == (1, 2, 3)
    assert delays(told, spans, matching) == pytest.approx([0.3])


@pytest.mark.parametrize("count", [0, 1, 3, 17, 120, 900])
def test_the_interval_of_a_count_is_that_of_the_chi_squared_distribution(count: int) -> None:
    low, high = poisson_interval(count)
    assert low == pytest.approx(chi2.ppf(0.025, 2 * count) / 2 if count else 0.0, abs=1e-9)
    assert high == pytest.approx(chi2.ppf(0.975, 2 * count + 2) / 2)
    assert poisson_bound(count) == pytest.approx(chi2.ppf(0.95, 2 * count + 2) / 2)


def test_segments_are_right_by_half_of_their_union_and_once() -> None:
    spans = [Span(0, 10, "walk"), Span(10, 20, "sit"), Span(20, 30, "walk")]

    def segments(*rows: tuple[str, float, float]) -> list[Told]:
        return [Told(label, begin, end, end) for label, begin, end in rows]

    assert segments_f1(segments(("walk", 0, 9), ("sit", 10, 21), ("walk", 21, 30)), spans) == 1
    assert segments_f1(segments(("walk", 0, 4), ("sit", 10, 20)), spans) == pytest.approx(2 * 1 / 5)
    halves = segments(("walk", 0, 6), ("walk", 6, 10), ("sit", 10, 20), ("walk", 20, 30))
    assert segments_f1(halves, spans) == pytest.approx(2 * 3 / 7), "the second part of a walk is one too many"
    assert (segments_f1([], []), segments_f1([], spans)) == (1, 0)


@given(st.lists(LABELS, max_size=4), st.lists(LABELS, max_size=4))
def test_edits_are_those_of_the_recursive_definition(told: list[str], true: list[str]) -> None:
    def distance(a: list[str], b: list[str]) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))

    longest = max(len(told), len(true), 1)
    assert edit_score(told, true) == pytest.approx(1 - distance(told, true) / longest)
    assert np.isclose(edit_score(told, told), 1)


def test_a_false_moment_is_mistaken_if_another_class_is_there_to_be_told() -> None:
    spans = [Span(0.0, 1.0, "a"), Span(10.0, 11.0, "b")]
    times = [("b", 0.9), ("b", 2.4), ("a", 1.2), ("a", 1.4), ("b", 5.0), ("b", 10.5), ("a", 12.6)]
    told = [Told(label, at - 1, at, at) for label, at in times]
    matching = match(told, spans, late=1.5)
    assert matching.found == {0: 2, 1: 5}
    assert mistaken(told, spans, matching, late=1.5) == 2  # not the word told twice, nor those of nothing
