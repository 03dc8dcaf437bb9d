"""The timeline: classes begin and end as the answers of overlapping windows say."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.bundle.manifest import SetThreshold, TimelineCalibration
from sensemble_runtime.engine.timeline import BEGINS, Filter, Happening, Timeline

LABELS = ("one", "two", "three")
SETS = {"audio": SetThreshold(2.0, 3.0, 0, 0.9), "audio+video": SetThreshold(1.0, 3.0, 1, 0.95)}
CALIBRATION = TimelineCalibration(2.0, 1.0, {}, 1.0, SETS)
HOP = 0.25


def shown(label: str | None, sure: float = 0.95) -> np.ndarray:
    """Return what a window says that shows a class, or none."""
    if label is None:
        return np.full(3, -6.0)
    rest = (1 - sure) / 2
    return np.log([3 * (sure if one == label else rest) for one in LABELS]) + 3.0


ALONE = {"audio": 1.0}


def tell(*words: str | None, calibration: TimelineCalibration = CALIBRATION) -> list[Happening]:
    """Return what a timeline tells of one window after the other, by sound alone, and of silence after it."""
    timeline = Timeline(calibration, LABELS)
    answers = [(i * HOP, {"audio": shown(word)}) for i, word in enumerate((*words, *[None] * 8))]
    return [one for time, ratios in answers for one in timeline.note(time, ratios, ALONE, ("audio",))]


def test_a_word_in_several_windows_is_one_moment() -> None:
    began, ended = tell(None, None, "two", "two", "two", "two", None, None)
    assert (began.kind, began.label, began.sensors) == ("began", "two", ("audio",))
    assert 2 * HOP <= began.at <= 5 * HOP
    assert (ended.kind, ended.label, ended.began) == ("ended", "two", began.began)
    assert ended.ended is not None
    assert ended.ended <= 5 * HOP + 0.75 < ended.at
    assert ended.confidence >= began.confidence > 0.8
    began, ended = tell(*["two"] * 8)
    assert ended.confidence > began.confidence, "the greatest so far"


def test_a_word_that_is_said_twice_is_two_moments_and_one_window_is_none() -> None:
    word: list[str | None] = ["three"] * 4
    pause: list[str | None] = [None] * 6
    assert [one.label for one in tell(*word, *pause, *word) if one.kind == "began"] == ["three", "three"]
    assert tell(None, None, "one", None, None) == []


def test_the_threshold_is_of_the_set_that_is_near_not_only_of_those_that_are_named() -> None:
    strict = replace(CALIBRATION, sets={**SETS, "audio": SetThreshold(99.0, 3.0, 0, None)})

    def begins(calibration: TimelineCalibration, near: tuple[str, ...] | None) -> bool:
        timeline = Timeline(calibration, LABELS)
        ratios = {"audio": shown("two")}
        answers = [timeline.note(i * HOP, ratios, ALONE, ("audio",), near) for i in range(8)]
        return any(answers)

    assert begins(strict, ("audio", "video"))
    assert not begins(strict, ("audio",))
    assert not begins(strict, None)
    assert begins(CALIBRATION, ("audio",))


def test_another_class_ends_the_one_before() -> None:
    told = tell(*["one"] * 6, *["two"] * 6)
    assert [(one.kind, one.label) for one in told] == [
        ("began", "one"),
        ("ended", "one"),
        ("began", "two"),
        ("ended", "two"),
    ]


def test_a_state_goes_on_through_a_stumble_and_has_begun_when_it_was_first_likely() -> None:
    walk = [*["one"] * 12, None, None, None, None, *["one"] * 12]
    sets = {"audio": SetThreshold(1.5, 3.0, 0, None)}
    states = TimelineCalibration(0.8, 20.0, {}, 1.0, sets)
    began, ended = tell(*walk, *[None] * 40, calibration=states)
    assert began.began < began.at, "a doubtful window before it was known shows it, too"
    assert ended.ended is not None
    assert ended.ended - ended.began > 25 * HOP
    words = [one.kind for one in tell(*walk, *[None] * 40, calibration=replace(states, dwell={"one": 2.0}))]
    assert words == ["began", "ended", "began", "ended"], "a moment does not linger"


def test_a_set_that_was_not_fitted_has_the_highest_threshold() -> None:
    assert CALIBRATION.threshold(("video", "audio")) == 1.0
    assert CALIBRATION.threshold(("text",)) == 2.0


def test_a_timeline_without_answers_for_long_knows_nothing_and_ends_what_went_on() -> None:
    timeline = Timeline(CALIBRATION, LABELS)
    for i in range(6):
        timeline.note(i * HOP, {"audio": shown("one")}, ALONE)
    (ended,) = timeline.pass_to(60.0)
    assert (ended.kind, ended.ended) == ("ended", 5 * HOP)
    assert timeline.note(60.0, {"audio": shown(None)}, ALONE) == []


@given(st.lists(st.tuples(st.floats(0.05, 3), st.integers(0, 2), st.floats(-8, 8)), min_size=1, max_size=12))
def test_the_filter_is_a_forward_pass_of_a_hidden_markov_model(steps: list[tuple[float, int, float]]) -> None:
    one, time = Filter(CALIBRATION, LABELS), 0.0
    rest = np.full(3, BEGINS / 3)  # a class lasts a second
    state = np.array([1.0, 0, 0, 0])  # none, then the classes
    for number, (elapsed, label, known) in enumerate(steps):
        classes = np.full(3, 0.1)
        classes[label] = 0.8
        time += elapsed
        one.note(time, np.log(3 * classes) + known)
        passed = 1 / CALIBRATION.evidence if number == 0 else elapsed
        begin, stay = 1 - math.exp(-passed * BEGINS), math.exp(-passed)
        moves = np.zeros((4, 4))
        moves[0] = [1 - begin, *[begin / 3] * 3]
        moves[1:, 0] = 1 - stay
        moves[1:, 1:] = stay * np.eye(3)
        weight = min(1, CALIBRATION.evidence * passed)
        ratio = np.clip(np.log(3 * classes) + known, -12, 12)
        state = (state @ moves) * np.exp(weight * np.array([0.0, *ratio]))
        state /= state.sum()
        expected = np.log((state[1:] + 1e-12) / (state[0] + 1e-12)) - np.log(rest)
        assert one.now(time) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("hours", "false", "asked", "promise"),
    [
        (3.5, 0, 1.0, "promised: at most 1 false events an hour, by 3.5 hours; 90 % of"),
        (0.75, 0, 1.0, "promised to 4 false events an hour, not 1: 0.75 of the 3 hours needed"),
        (3.5, 2, 1.0, "promised to 1.8 false events an hour, not 1: 2 in 3.5 hours"),
        (3.5, 2, 2.0, "promised: at most 2 false events"),
    ],
)
def test_the_promise_says_the_hours_and_the_price(
    hours: float, false: int, asked: float, promise: str
) -> None:
    sets = {"audio": SetThreshold(0.0, hours, false, 0.9)}
    assert TimelineCalibration(1.0, 1.0, {}, asked, sets).promise.startswith(promise)


def test_a_sensor_without_weight_changes_nothing_whatever_it_says_and_when() -> None:
    """Captions beside a microphone were heard in its silence, so that a word went on, and hid the next."""
    weights = {"audio": 1.0, "text": 0.0}
    calibration = replace(CALIBRATION, sets={"audio+text": SetThreshold(-1.0, 3.0, 0, 0.9, weights)})
    words: list[str | None] = [*["one"] * 4, *[None] * 5] * 3
    ways = []
    for captions in (False, True):
        timeline, found = Timeline(calibration, LABELS), list[tuple[str, str, float]]()
        for i, word in enumerate(words):
            ratios = {"audio": shown(word)} | ({"text": shown("two", 0.9)} if captions else {})
            truths = dict.fromkeys(ratios, 0.98)
            for after, fresh in ((0.0, "audio"), (0.1, "text"))[: 1 + captions]:
                told = timeline.note(i * HOP + after, ratios, truths, (), ("audio", "text"), [fresh])
                found += [(one.kind, one.label, one.began) for one in told]
        ways.append([one for one in found if one[0] == "began"])
    assert len(ways[0]) == 3
    assert ways[0] == ways[1]


def test_the_evidence_of_a_sensor_goes_with_it() -> None:
    sets = {"audio": SetThreshold(2.0, 3.0, 0, 0.9), "audio+video": SetThreshold(8.0, 3.0, 1, 0.95)}
    timeline, both = Timeline(replace(CALIBRATION, sets=sets), LABELS), {"audio": 0.98, "video": 0.98}
    for i in range(4):
        ratios = {"audio": shown(None), "video": shown("two", 0.7)}
        assert timeline.note(i * HOP, ratios, both) == []
    assert timeline.note(4 * HOP, {"audio": shown(None)}, ALONE) == []
    later = [timeline.note(5 + i * HOP, {"audio": shown("two", 0.7)}, ALONE) for i in range(6)]
    assert [happening.kind for told in later for happening in told] == ["began"]
