"""The items that outputs show of a running bundle: predictions and events."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sensemble_runtime.engine.timeline import STATE
from sensemble_runtime.engine.view import View
from sensemble_runtime.prediction import MOST, Prediction
from sensemble_runtime.session.session import Session
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.supervision.events import Event

from sensemble_apps.console.kinds import as_words, words_of
from sensemble_apps.console.wording import sensor_title

_WORDS = {
    "active": "is the active sensor",
    "detached": "unplugged",
    "opening": "is being opened",
    "taught": "was taught",
    "unsaved": "what was learned is not saved",
    "set aside": "what was learned is not used",
    "untaught": "unlearned",
}


@dataclass(frozen=True)
class Predicted:
    """A prediction, `time` seconds after the start, and its example, if that is known."""

    time: float
    prediction: Prediction
    example: Example | None


@dataclass(frozen=True)
class Opened:
    """The session of the events that follow; their times count from `began` on its clock.

    Attributes:
        view: returns what the session does now.
        session: None in virtual time.
    """

    began: float
    view: Callable[[], View]
    session: Session | None = None


ViewEvent = Event | Predicted | Opened
ViewEvents = Generator[ViewEvent, None, None]

ExampleAt = Callable[[float], Example | None]
"""Returns the example that a replay played at a time of `time.monotonic`."""


Stamp = Callable[[float], str]
"""Writes a time, in seconds after the start, at the beginning of a line."""


def seconds(time: float) -> str:
    """Write the seconds of a stream: `   12.25 s`."""
    return f"{time:8.2f} s"


def time_of_day(opened: Opened, time: float) -> str:
    """Write the local time of day of a session: `12:03:04`; its seconds if its clock has none."""
    wall = None if opened.session is None else opened.session.clock.wall(opened.began + time)
    return seconds(time) if wall is None else f"{datetime.fromtimestamp(wall, UTC).astimezone():%H:%M:%S}"


def view_event(item: Prediction | Event, began: float, example_at: ExampleAt | None = None) -> ViewEvent:
    """Return an item of a session's stream for outputs, in seconds since `began`."""
    if isinstance(item, Event):
        return shown_event(item, began)
    newest = item.time - min(item.ages.values())  # the end of its newest window
    return Predicted(item.time - began, item, example_at(newest) if example_at is not None else None)


def shown_event(event: Event, began: float = 0.0) -> Event:
    """Return an event for outputs: in seconds since `began`, its text without the sensor's name."""
    times = {name: getattr(event, name) for name in ("time", "began", "ended")}
    shifted: dict[str, Any] = {name: time - began for name, time in times.items() if time is not None}
    return replace(event, **shifted, text=event.reason)


def event_as_json(event: Event) -> dict[str, Any]:
    """Return an event as the JSON object of `docs/reference/output.md`."""
    found: dict[str, Any] = {name: getattr(event, name) for name in ("kind", "modality", "sensor", "text")}
    for name in ("modality", "sensor"):
        found[name] = found[name] or None
    found = {"time": round(event.time, 6)} | found
    if event.label:
        times = {name: at and round(at, 6) for name, at in (("began", event.began), ("ended", event.ended))}
        share = event.confidence and round(event.confidence, 6)
        found |= {"label": event.label, **times, "confidence": share, "sensors": list(event.sensors)}
    return found


def event_words(event: Event) -> str:
    """Return an event in words: `lost: no picture came`, or `hears nothing it knows` of an unfamiliar one."""
    return words_of(event.modality).none if event.kind == "unfamiliar" else in_words(event.kind, event.text)


def in_words(kind: str, text: str) -> str:
    """Return the kind and the text of an event in words."""
    words = _WORDS.get(kind, kind)
    return f"{words}: {text}" if text else words


def has_line(event: Event) -> bool:
    """Return whether an event has a line: a live set has none, nor has the end of a word."""
    ends_a_word = event.ended is not None and event.ended - (event.began or 0) < STATE
    return event.kind != "live" and not ends_a_word


def event_line(event: Event, stamp: Stamp = seconds) -> str:
    """Return an event as a line: `12:03:04  ---- camera 0 lost: no picture came`.

    Of what began `12:03:04  three  97 %  microphone + camera`, of what ended `12:03:32  walking ended after
    27.8 s`.
    """
    if event.label and event.ended is not None and event.began is not None:
        return f"{stamp(event.ended)}  {as_words(event.label)} ended after {event.ended - event.began:.1f} s"
    if event.label and event.began is not None and event.confidence is not None:
        sensors = " + ".join(words_of(m).sensor for m in event.sensors)
        percent = min(round(100 * event.confidence), MOST)
        return f"{stamp(event.began)}  {as_words(event.label)}  {percent} %  {sensors}"
    return f"{stamp(event.time)}  ---- {sensor_title(event.modality, event.sensor)} {event_words(event)}"
