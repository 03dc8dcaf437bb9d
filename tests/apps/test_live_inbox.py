"""The queue between a session and its viewer."""

import pytest
from sensemble_apps.live import Inbox
from sensemble_runtime.events import LiveSetEvent


def test_a_slow_viewer_sees_the_newest_and_how_much_it_missed() -> None:
    inbox = Inbox(3)
    for i in range(5):
        inbox.put(LiveSetEvent(float(i), ()))
    inbox.put(None)
    assert [news.time for news in inbox] == [3.0, 4.0]
    assert inbox.missed == 3
    inbox.put(OSError("the disk"))
    with pytest.raises(OSError, match="the disk"):
        list(inbox)
