"""Moments and states: what the timeline keeps for any answers, and what an engine tells of its sensors."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.bundle.manifest import SetThreshold, TimelineCalibration
from sensemble_runtime.engine.answer import NONE, UNFAMILIAR, against_none, answer_now
from sensemble_runtime.engine.timeline import DEFAULT, PAUSE, Happening, Timeline, at_rest, going_on, product
from sensemble_sensors.supervision.events import Event

from tests.runtime.answering import classifier, window
from tests.runtime.engine.script import LABELS, STRANGE
from tests.runtime.engine.test_familiarity import LIE, Show

ANSWERS = st.lists(
    st.tuples(st.sampled_from([0.2, 0.5, 1.0, 9.0]), st.integers(0, 2), st.floats(-8, 8)), max_size=40
)
SECTIONS = st.lists(st.tuples(st.sampled_from([None, 0, 1, 2]), st.integers(4, 9)), min_size=1, max_size=6)


def ratios_of(label: int | None, known: float) -> np.ndarray:
    """Return what a window says that shows a class, or none in particular."""
    shares = np.full(3, 1 / 3) if label is None else np.where(np.arange(3) == label, 0.96, 0.02)
    return np.asarray(np.log(3 * shares) + known)


def told(
    answers: list[tuple[float, int, float]], threshold: float = 1.0, sensors: tuple[str, ...] = ("audio",)
) -> list[Happening]:
    """Return what is told of answers, each so many seconds after the last, and of the end."""
    calibration = replace(DEFAULT, sets={"": SetThreshold(threshold, 1.0, 0, None)})
    timeline, found, now = Timeline(calibration, LABELS), list[Happening](), 0.0
    for wait, label, known in answers:
        now += wait
        ratios, trust = dict.fromkeys(sensors, ratios_of(label, known)), dict.fromkeys(sensors, 0.98)
        found += [*timeline.pass_to(now), *timeline.note(now, ratios, trust, sensors)]
    return [*found, *timeline.end(now)]


@given(ANSWERS)
def test_what_begins_ends_before_another_begins(answers: list[tuple[float, int, float]]) -> None:
    found = told(answers)
    assert [one.kind for one in found] == ["began", "ended"] * (len(found) // 2)
    for began, ended in zip(found[::2], found[1::2], strict=True):
        assert (began.label, began.began) == (ended.label, ended.began)
        assert ended.ended is not None
        assert began.began <= ended.ended <= ended.at


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 1.0, 9.0]), st.none() | st.integers(0, 2)), max_size=40))
def test_without_evidence_nothing_begins(answers: list[tuple[float, int]]) -> None:
    assert told([(wait, label, NONE) for wait, label in answers]) == []


@given(ANSWERS, st.floats(-2, 6), st.floats(0, 4))
def test_what_a_higher_threshold_tells_a_lower_one_tells_too(
    answers: list[tuple[float, int, float]], threshold: float, more: float
) -> None:
    low, high = told(answers, threshold), told(answers, threshold + more)
    spans = [(one.label, one.began, one.ended) for one in low if one.ended is not None]
    for one in high[::2]:
        assert any(label == one.label and a <= one.began <= b for label, a, b in spans)


@given(SECTIONS)
def test_windows_that_come_twice_as_often_tell_the_same(sections: list[tuple[int | None, int]]) -> None:
    calibration = TimelineCalibration(1.6, 5.0, {}, 1.0, {"": SetThreshold(1.0, 1.0, 0, None)})
    ways = []
    for hop in (0.5, 0.25):
        timeline, found, now = Timeline(calibration, LABELS), list[Happening](), 0.0
        for label, halves in sections:
            for _ in range(round(halves * 0.5 / hop)):
                now += hop
                known = -8.0 if label is None else 5.0
                found += timeline.note(now, {"audio": ratios_of(label, known)}, {"audio": 1.0})
        ways.append([*found, *timeline.end(now)])
    one, other = ways
    assert [(x.kind, x.label) for x in one] == [(x.kind, x.label) for x in other]
    for x, y in zip(one, other, strict=True):
        assert x.began == pytest.approx(y.began, abs=1.0)


@given(ANSWERS, st.permutations(["audio", "text", "video"]))
def test_the_order_of_sensors_changes_nothing(
    answers: list[tuple[float, int, float]], names: list[str]
) -> None:
    one, other = told(answers, sensors=("audio", "text", "video")), told(answers, sensors=tuple(names))
    assert [replace(x, sensors=()) for x in one] == [replace(x, sensors=()) for x in other]


def test_a_state_of_windows_that_come_seldom_is_one_and_ends_where_they_stop() -> None:
    timeline, found = Timeline(DEFAULT, LABELS), list[Happening]()
    for second in range(0, 40, 2):
        found += timeline.note(second, {"audio": ratios_of(1, 5.0)}, {"audio": 1.0})
    assert [one.kind for one in found] == ["began"]
    assert timeline.deadline == 38 + PAUSE
    assert timeline.pass_to(38 + PAUSE - 1e-6) == []
    (ended,) = timeline.pass_to(38 + PAUSE)
    assert (ended.ended, ended.at) == (38, 38 + PAUSE)


def moments(show: Show) -> list[Event]:
    return [item for item in show.items if isinstance(item, Event) and item.label]


def test_an_engine_tells_what_begins_after_the_prediction_that_shows_it_and_ends_it_when_answers_stop() -> (
    None
):
    show = Show("audio", "video")
    show.see(6)
    (began,) = moments(show)
    assert (began.kind, began.label, began.sensors, began.ended) == (
        "began", "zero", ("audio", "video"), None,
    )  # fmt: skip
    assert began.began == began.time
    before = show.items[show.items.index(began) - 1]
    assert getattr(before, "time", math.nan) == began.time
    show.rest(20)
    _, ended = moments(show)
    assert (ended.kind, ended.label, ended.began) == ("ended", "zero", began.began)
    assert ended.ended is not None
    assert ended.time == ended.ended + PAUSE


def test_a_sensor_that_joins_leaves_or_lies_restarts_nothing() -> None:
    show = Show("audio", "video")
    show.see(6)
    show.attach("text")
    show.see(4)
    show.ask(1, "detach")
    show.see(4)
    show.attach("video")
    show.see(4)
    show.see(12, "video", LIE)
    assert [(one.kind, one.label) for one in moments(show)] == [("began", "zero")]


def test_what_nobody_learned_begins_nothing_and_ends_what_went_on() -> None:
    show = Show("video")
    show.see(6, "video", STRANGE)
    assert moments(show) == []
    show.see(6)
    show.see(6, "video", STRANGE)
    assert [one.kind for one in moments(show)] == ["began", "ended"]


def test_what_goes_on_ends_with_the_last_sensor_at_once() -> None:
    show = Show("video")
    show.see(6)
    show.lose(0, "ended", 0)
    began, ended = moments(show)
    assert (began.kind, ended.kind, ended.label) == ("began", "ended", "zero")
    assert ended.ended is not None
    assert ended.time < ended.ended + PAUSE


def test_what_is_unfamiliar_speaks_of_no_class_and_what_is_covered_shows_none() -> None:
    asked = classifier(familiar=-1.0, near=-5.0)

    def of(one: np.ndarray) -> np.ndarray:
        (found,) = against_none(asked.evidence("audio", one[np.newaxis]))
        return found

    assert of(window(1, 7, known=2.0)).argmax() == 1
    assert np.ptp(of(window(1, 3, known=-0.5))) == 0
    assert of(window(1, 3, known=-0.5))[0] > -5
    assert of(window(1, 3, known=-9.0)).tolist() == [NONE] * 4


@given(
    ratios=st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=1, max_size=3),
    truths=st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3),
)
def test_a_set_says_the_product_of_its_sensors_each_of_which_may_lie(
    ratios: list[list[float]], truths: list[float]
) -> None:
    names = ("audio", "text", "video")[: len(ratios)]
    rest = at_rest(DEFAULT, LABELS)
    own = {m: np.array(one) for m, one in zip(names, ratios, strict=True)}
    found = going_on(product(own, dict(zip(names, truths, strict=False)), {"audio": 0.5}), rest)
    each = rest.copy()
    for m, one, truth in zip(names, ratios, truths, strict=False):
        each *= (truth * np.exp(one) + 1 - truth) ** (0.5 if m == "audio" else 1)
    share = each / (1 + each.sum())
    assert found == pytest.approx(np.log(share + 1e-12) - np.log(1 - share + 1e-12), abs=1e-6)


def test_a_sensor_that_guesses_alone_says_its_own_opinion_and_does_not_speak_against_it() -> None:
    asked = classifier(familiar=-1.0, near=-5.0)
    evidence = asked.evidence("audio", window(1, 3, known=-0.5)[np.newaxis])
    guess = answer_now(asked, {"audio": evidence}, ("audio",))
    assert guess.doubts[0] == UNFAMILIAR
    assert guess.probabilities == pytest.approx(evidence.opinions(asked.task))
