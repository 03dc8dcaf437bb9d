"""The end of a run in real time, and the lines that a view shows of it."""

from typing import Any

from sensemble_apps.running.real_time import whole_stream
from sensemble_sensors.supervision.events import Event


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
