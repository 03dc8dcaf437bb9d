"""The policy that says which sensors are needed, by hand and by drawn answers."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.bundle.manifest import SparingCalibration
from sensemble_runtime.engine.sparing import ASKED, CHECK, EMPTY, SETTLING, Sparing, Waking


def calibration(places: int = 2, wake: float = 0.9, hold: float = 2.0) -> SparingCalibration:
    order = tuple((f"m{place}",) for place in range(places))
    ones = (1.0,) * places
    return SparingCalibration(order, ones, wake, hold, 0.9, 0, 1, False, ones, 1, 1, 0, 1, 1, 0)


def asleep(policy: Sparing, places: int = 2) -> float:
    """Let a session begin, with sure answers, until only the first place is on; return the time."""
    for step in range(10):
        policy.note(0.5 * step, [1.0] * places, [True] * places)
    assert policy.needed == 1
    return 4.5


def test_sensors_are_tried_when_a_session_begins_and_then_sleep() -> None:
    policy = Sparing(calibration(), 0)
    assert policy.needed == 2
    assert policy.note(0.5, [0.95, 0.99], [True, True]) == []
    assert policy.needed == 2
    policy.note(2.5, [0.95, 0.99], [True, True])
    assert policy.needed == 1


def test_doubt_wakes_the_next_sensor_which_sleeps_again_when_it_is_over() -> None:
    policy = Sparing(calibration(), 0)
    now = asleep(policy)
    assert policy.note(now, [0.5, 0.5], [True, False]) == [Waking(1, "unsure")]
    policy.note(now + 1, [0.95, 0.95], [True, False])  # sure again, but the sensor still opens
    policy.note(now + 2, [0.95, 0.99], [True, True])
    assert policy.needed == 2
    policy.note(now + 4.5, [0.95, 0.99], [True, True])
    assert policy.needed == 1


def test_a_third_sensor_waits_for_the_answer_of_the_second() -> None:
    policy = Sparing(calibration(3), 0)
    now = asleep(policy, 3)
    assert policy.note(now, [0.5, 0.5, 0.5], [True, False, False]) == [Waking(1, "unsure")]
    assert policy.note(now + 1, [0.5, 0.5, 0.5], [True, False, False]) == []
    assert policy.note(now + 2, [0.5, 0.6, 0.6], [True, True, False]) == [Waking(2, "unsure")]


def test_a_sensor_that_gives_nothing_is_replaced_by_the_next() -> None:
    policy = Sparing(calibration(3), 0)
    now = asleep(policy, 3)
    assert policy.note(now, [0.0, 0.0, 0.0], [False] * 3) == [Waking(1, "silent")]  # the first is lost
    for step in range(1, round(SETTLING)):
        assert policy.note(now + step, [0.0, 0.0, 0.0], [False] * 3) == []
    assert policy.note(now + SETTLING, [0.0, 0.0, 0.0], [False] * 3) == [Waking(2, "silent")]


@pytest.mark.parametrize("confidence", [0.0, 0.5])
def test_a_place_without_a_sensor_that_works_delays_nobody(confidence: float) -> None:
    policy = Sparing(calibration(3), 0)
    now, cause = asleep(policy, 3), "unsure" if confidence else "unknown"
    woken = policy.note(now, [confidence] * 3, [True, None, False])
    assert [(one.place, one.cause) for one in woken] == [(1, cause), (2, cause)]


def test_a_sensor_that_dies_while_it_is_opened_is_replaced_at_once() -> None:
    policy = Sparing(calibration(3), 0)
    now = asleep(policy, 3)
    assert policy.note(now, [0.5] * 3, [True, False, False]) == [Waking(1, "unsure")]
    assert policy.note(now + 0.5, [0.5] * 3, [True, None, False]) == [Waking(2, "unsure")]


def test_a_later_sensor_sleeps_while_the_first_is_sure_and_the_next_is_absent() -> None:
    policy = Sparing(calibration(3), 0)
    now = asleep(policy, 3)
    for step in range(60):
        assert policy.note(now + step, [1.0] * 3, [True, None, False]) == []
    assert policy.needed == 1


def test_a_sensor_that_gives_nothing_is_replaced_even_where_doubt_wakes_nobody() -> None:
    policy = Sparing(calibration(wake=0.0), 0)
    now = asleep(policy)
    assert policy.note(now, [0.0, 0.0], [True, False]) == []
    assert policy.note(now + 1, [0.0, 0.0], [False, False]) == [Waking(1, "silent")]


def test_a_liar_wakes_all_witnesses_once() -> None:
    policy = Sparing(calibration(3), 0)
    now = asleep(policy, 3)
    live = [True, False, False]
    assert policy.note(now, [1.0] * 3, live, suspect=True) == [Waking(1, "suspect"), Waking(2, "suspect")]
    for step in range(1, 10):
        assert policy.note(now + step, [1.0] * 3, [True] * 3, suspect=True) == []
    assert policy.needed == 1  # it was settled, or cannot be
    policy.note(now + 10, [1.0] * 3, live)
    assert len(policy.note(now + 11, [1.0] * 3, live, suspect=True)) == 2


def test_no_sensor_sleeps_before_the_first_has_answered() -> None:
    policy = Sparing(calibration(3), 0)
    for now in range(1, round(SETTLING)):  # the first is still being opened
        assert policy.note(now, [0.0, 1.0, 1.0], [False, True, True]) == []
        assert policy.needed == 3
    policy.note(SETTLING, [1.0] * 3, [True] * 3)
    policy.note(SETTLING + 1, [1.0] * 3, [True] * 3)
    assert policy.needed == 1


def test_a_later_sensor_is_not_judged_while_the_first_is_opened() -> None:
    policy = Sparing(calibration(3), 0)
    policy.note(1, [0.0, 1.0, 1.0], [False, True, True])
    policy.note(5, [0.0, 0.5, 0.5], [False, True, True])  # the doubt is without the first
    policy.note(5.5, [1.0] * 3, [True] * 3)
    assert policy.needed == 1


@pytest.mark.parametrize(("confidence", "needed"), [(0.9, 1), (0.9 - 1e-9, 2)])
def test_an_answer_as_confident_as_the_threshold_is_sure_enough(confidence: float, needed: int) -> None:
    policy = Sparing(calibration(wake=0.9), 0)
    policy.note(asleep(policy), [confidence, 0.0], [True, False])
    assert policy.needed == needed


@pytest.mark.parametrize(("after", "needed"), [(EMPTY - 0.5, 2), (EMPTY, 1)])
def test_what_is_unknown_for_long_enough_wakes_nobody(after: float, needed: int) -> None:
    policy = Sparing(calibration(hold=0.1), 0)
    now = asleep(policy)
    policy.note(now, [0.0, 0.0], [True, False])
    policy.note(now + 1, [0.0, 0.9], [True, True])
    policy.note(now + after, [0.0, 0.9], [True, True])
    assert policy.needed == needed


def test_an_empty_room_lets_sensors_sleep_until_something_is_known() -> None:
    policy = Sparing(calibration(), 0)
    now = asleep(policy)
    assert policy.note(now, [0.0, 0.0], [True, False]) == [Waking(1, "unknown")]
    for step in range(1, 100):
        policy.note(now + step, [0.0, 0.0], [True, True])
    assert policy.needed == 1
    policy.note(now + EMPTY + 100, [0.95, 0.95], [True, False])
    assert policy.note(now + EMPTY + 101, [0.5, 0.5], [True, False]) == [Waking(1, "unsure")]


def test_a_sensor_that_slept_for_long_is_tried() -> None:
    policy = Sparing(calibration(), 0)
    now, at = asleep(policy), policy.deadline
    assert now < at <= now + CHECK
    assert policy.pass_to(at - 1) == []
    assert policy.pass_to(at) == [Waking(1, "check")]


def test_all_sensors_can_be_woken() -> None:
    policy = Sparing(calibration(3), 0)
    now = asleep(policy, 3)
    assert policy.wake(now) == [Waking(1, "asked"), Waking(2, "asked")]
    policy.note(now + ASKED - 1, [1.0] * 3, [True] * 3)
    assert policy.needed == 3
    policy.note(now + ASKED + 1, [1.0] * 3, [True] * 3)
    assert policy.needed == 1


answers = st.lists(
    st.tuples(
        st.floats(0.01, 400),
        st.lists(st.floats(0, 1), min_size=3, max_size=3),
        st.lists(st.sampled_from([True, False, None]), min_size=3, max_size=3),
        st.booleans(),
    ),
    max_size=60,
)


@given(answers, st.floats(0, 1.5), st.floats(0.1, 10))
def test_for_any_answers(
    drawn: Sequence[tuple[float, list[float], list[bool], bool]], wake: float, hold: float
) -> None:
    policy, now = Sparing(calibration(3, wake, hold), 0), 0.0
    on, has_answered = {0, 1, 2}, False  # the first place
    for gap, confidences, live, suspect in drawn:
        now += gap
        before = {*range(policy.needed)}
        deadline = policy.deadline
        woken = policy.note(now, confidences, live, suspect=suspect)
        on = {*range(policy.needed)}
        assert 0 in on  # the first place never sleeps
        assert {one.place for one in woken} >= on - before  # each waking is told
        assert policy.deadline > now  # time goes on
        if deadline > now and (has_answered or not live[0]):  # else what waited for it sleeps
            assert on >= before
        has_answered |= bool(live[0])
    if drawn and wake > 1 and drawn[-1][2][0] and drawn[-1][1][0]:
        assert 1 in on  # doubt is never ignored


def test_what_waited_only_for_the_first_sensor_sleeps_at_its_first_answer() -> None:
    """Drawn answers found it once in many runs: the deadline was that of the first, still being opened."""
    policy = Sparing(calibration(3, wake=0.0, hold=1.0), 0)
    policy.note(1, [0.0] * 3, [False, False, True])
    assert policy.deadline == SETTLING
    policy.note(2, [0.0] * 3, [True, False, False])
    assert policy.needed == 2  # the second has not answered yet


def test_what_is_due_is_done_at_the_deadline_to_the_last_bit() -> None:
    """A difference of times was a bit less than their sum said: the deadline stayed at the present."""
    policy, at = Sparing(calibration(3, wake=0.0, hold=1.0), 0), 1.0
    for gap in (0.0, 211.1656999133666, CHECK):
        at += gap
        policy.note(at, [0.0] * 3, [False] * 3)
        assert policy.deadline > at


@pytest.mark.parametrize("places", [2, 3])
def test_ten_thousand_wakings(places: int) -> None:
    policy, now, woken = Sparing(calibration(places), 0), 0.0, 0
    for step in range(20_000):
        now += 20
        woken += len(policy.note(now, [float(step % 2)] * places, [True, *[False] * (places - 1)]))
    assert woken >= 10_000
