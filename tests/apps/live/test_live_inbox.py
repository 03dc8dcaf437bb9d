"""The queue between a session and its viewer."""

from typing import Any

import pytest
from sensemble_apps.live import real_time
from sensemble_apps.live.inbox import Inbox
from sensemble_apps.live.view_events import change
from sensemble_apps.live.views import change_line
from sensemble_runtime.errors import EncoderError
from sensemble_runtime.events import EncoderEvent, LiveSetEvent, RecordEvent


def test_a_slow_viewer_sees_the_newest_and_how_much_it_missed() -> None:
    inbox = Inbox(3)
    for i in range(5):
        inbox.put(LiveSetEvent(float(i), ()))
    inbox.end()
    assert [news.time for news in inbox] == [2.0, 3.0, 4.0]
    assert inbox.missed == 2
    inbox.end(OSError("the disk"))
    with pytest.raises(OSError, match="the disk"):
        list(inbox)


def test_a_run_without_a_prediction_for_its_encoder_failed_has_failed() -> None:
    class Over:
        def close(self) -> None: ...

    session: Any = Over()
    inbox = Inbox()
    inbox.put(EncoderEvent(1.0, "audio", "out of memory"))
    inbox.end()
    with pytest.raises(EncoderError, match="out of memory"):
        list(real_time._until_over(session, inbox))


def test_what_concerns_no_sensor_is_a_line_too() -> None:
    lines = [
        change_line(change(event, 1.0))
        for event in (
            EncoderEvent(2.0, "audio", "out of memory"),
            RecordEvent(3.0, "the disk is full", 1),
            EncoderEvent(4.0, "audio", ""),
        )
    ]
    assert lines == [
        "    1.00 s  ---- microphone encoder failed: out of memory",
        "    2.00 s  ---- session record failed: the disk is full",
        "    3.00 s  ---- microphone encoder works again",
    ]
