"""The end of a run: the last lines that a view shows, and the summary."""

import re
from typing import Any

import numpy as np
import pytest
from sensemble_apps.running.real_time import whole_stream
from sensemble_apps.running.run_summary import RunSummary
from sensemble_apps.running.view_events import Predicted
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.supervision.events import Event


def test_counts_that_restart_when_a_sensor_comes_back_add_up() -> None:
    summary = RunSummary(None)
    for dropped in ({"audio": 2}, {"audio": 5}, {"video": 1}, {"audio": 6}, {"audio": 1}):
        probabilities = np.ones(1, np.float32)
        prediction = Prediction(
            0.0, ("audio",), {}, probabilities, probabilities, {"audio": 0.1}, dropped, dropped, dropped
        )
        summary.show(Predicted(0.0, prediction, None))
    assert "5 windows encoded, 13 dropped for newer ones" in summary.lines
    assert "the duty saved these encodings: audio 12 of 17, video 1 of 1" in summary.lines
    assert "samples lost because they were read too late: 12 of audio, 1 of video" in summary.lines


def test_windows_that_an_encoder_failed_on_are_not_said_to_be_missing() -> None:
    summary = RunSummary(None)
    assert summary.lines == []
    summary.show(Event(0.0, "attached", "audio", "desk"))
    assert summary.lines == ["nothing was predicted: no sensor gave as much as a window"]
    summary.show(Event(0.0, "encoder failed", "audio", text="no memory"))
    assert summary.lines == []


def test_sensors_that_slept_are_summed_up() -> None:
    summary = RunSummary(None)
    story = (0, "attached"), (2, "asleep"), (6, "woken"), (7, "attached"), (8, "asleep"), (10, "woken")
    for time, kind in story:
        summary.show(Event(time, kind, "video", "camera 0"))
    assert "camera 0: asleep 60 % of the time, woken 2 times" in summary.lines


def test_a_replayed_sensor_that_slept_is_named_by_its_kind() -> None:
    summary = RunSummary(None)
    for time, kind in ((0, "attached"), (5, "asleep"), (10, "woken")):
        summary.show(Event(time, kind, "video"))
    assert "camera: asleep 50 % of the time, woken 1 times" in summary.lines


def test_percentiles_of_the_ages_are_right_within_two_per_cent() -> None:
    summary, one = RunSummary(VirtualClock()), np.ones(1, np.float32)
    ages = np.random.default_rng(0).lognormal(-4, 1, 5000)
    for age in ages.tolist():
        prediction = Prediction(0.0, ("audio",), {"audio": age}, one, one, {"audio": 0.0}, {})
        summary.show(Predicted(0.0, prediction, None))
    found = re.findall(r"(?:median|p99) ([\d.]+) ms", summary.lines[0])
    shown = [float(ms) / 1e3 for ms in found]
    assert shown == pytest.approx(np.percentile(ages, (50, 99)), rel=0.02)


class Over:
    """A session that is over, with some events left in its stream."""

    def __init__(self, *events: Event) -> None:
        self._events = list(events)

    def stream(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        self._events.append(Event(9.0, "recorded", text="3 predictions and events are lost"))


def test_what_closing_reports_is_shown_too() -> None:
    session: Any = Over(Event(1.0, "record failed", text="the disk is full"))
    assert [event.kind for event in whole_stream(session)] == ["record failed", "recorded"]
