"""The end of a run in real time, and the lines that a view shows of it."""

from typing import Any

from sensemble_apps.running import real_time
from sensemble_apps.running.outputs import change_line
from sensemble_apps.running.view_events import Change, view_event
from sensemble_runtime.events import EncoderEvent, RecordEvent


class Over:
    """A session that is over, with some events left in its stream."""

    def __init__(self, *events: EncoderEvent | RecordEvent) -> None:
        self._events = list(events)

    def stream(self) -> list[EncoderEvent | RecordEvent]:
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        self._events.append(RecordEvent(9.0, "", 3))


def test_what_closing_reports_is_shown_too() -> None:
    session: Any = Over(RecordEvent(1.0, "the disk is full", 1))
    assert [event.lost for event in real_time._stream(session)] == [1, 3]


def test_what_concerns_no_sensor_is_a_line_too() -> None:
    failed, works = EncoderEvent(2.0, "audio", "out of memory"), EncoderEvent(4.0, "audio", "")
    changes = [view_event(event, 1.0) for event in (failed, RecordEvent(3.0, "the disk is full", 1), works)]
    assert [change_line(change) for change in changes if isinstance(change, Change)] == [
        "    1.00 s  ---- microphone encoder failed: out of memory",
        "    2.00 s  ---- session record failed: the disk is full",
        "    3.00 s  ---- microphone encoder works again",
    ]
