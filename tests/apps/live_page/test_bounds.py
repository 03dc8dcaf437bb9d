"""Clients that send too much, too fast, nonsense or nothing: they are bounded, and the session goes on."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sensemble_apps.web import limits
from sensemble_runtime.bundle.bundle import Bundle
from websockets.exceptions import ConnectionClosed

from tests.waiting import wait_until

from .serving import Served, Viewer, packed, raw, serving

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def page(bundle: Bundle) -> Iterator[Served]:
    with serving(bundle) as served:
        yield served


def closed(viewer: Viewer) -> tuple[int, str]:
    """Wait until the server closes; give its code and reason."""
    with pytest.raises(ConnectionClosed) as end:
        deque(iter(viewer.socket.recv, None), maxlen=0)
    assert end.value.rcvd is not None
    return end.value.rcvd.code, end.value.rcvd.reason


@pytest.mark.parametrize(
    "message",
    [
        "", "no json", "[]", "7", "{}", '{"type": "no such message"}', '{"type": ["give"]}', "[" * 60000, b"",
        b"1234", "x" * 65537,
    ],
    ids=repr,
)  # fmt: skip
def test_a_malformed_message_closes_its_connection_alone(page: Served, message: str | bytes) -> None:
    with page.viewer() as other, page.viewer() as viewer:
        viewer.socket.send(message)
        code, reason = closed(viewer)
        assert code == 1008
        assert reason
        assert other.next("state")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "unplug"},
        {"type": "unplug", "sensor": 3},
        {"type": "unplug", "sensor": "none"},
        {"type": "give", "modality": "smell"},
        {"type": "give", "modality": ["audio"]},
        {"type": "stop", "id": "x"},
        {"type": "stop", "id": 1e400},
        {"type": "label", "label": 1},
        {"type": "clock", "sent": "now"},
        {"type": "clocked", "sent": 2, "answered": 1, "received": 1},
        {"type": "clocked", "sent": 0, "answered": float("nan"), "received": 1},
    ],
    ids=json.dumps,
)
def test_a_message_that_asks_the_impossible_is_refused(page: Served, message: dict[str, object]) -> None:
    with page.viewer() as viewer:
        viewer.send(**message)
        assert "\n" not in viewer.next("refused")["reason"]
        assert viewer.next("state")


def test_a_message_that_is_too_large_is_not_read(page: Served) -> None:
    with page.viewer() as viewer:
        with suppress(ConnectionClosed):
            viewer.socket.send(bytes(1 << 24))
        with pytest.raises(ConnectionClosed) as end:
            deque(iter(viewer.socket.recv, None), maxlen=0)
        # The close may be lost, where it meets what is still being sent.
        assert end.value.rcvd is None or end.value.rcvd.code == 1009


def test_a_client_s_mistakes_are_not_logged(page: Served, caplog: pytest.LogCaptureFixture) -> None:
    with page.viewer() as viewer:
        viewer.socket.send(b"\xff", text=True)
        assert closed(viewer)[0] == 1007
    with raw(page.port, b"no HTTP\r\n\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 400"
    assert not caplog.text


def test_a_flood_is_closed_and_what_came_before_is_used(page: Served, bundle: Bundle) -> None:
    with page.viewer() as viewer:
        sensor, name = viewer.give("text")
        data = packed(bundle, "text", "one")
        with suppress(ConnectionClosed):
            for number in range(20_000):
                viewer.sample(sensor, number, data)
        assert closed(viewer) == (1008, "too many samples")
    with page.viewer() as other:
        assert other.next("state", lambda state: name not in [sensor["name"] for sensor in state["sensors"]])


def test_commands_are_bounded(page: Served) -> None:
    with page.viewer() as viewer:
        with suppress(ConnectionClosed):
            for _ in range(5000):
                viewer.send(type="label", label=None)
        assert closed(viewer)[0] == 1008


def test_viewers_are_bounded_and_leaving_makes_room(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VIEWERS", 2)
    with page.viewer(), page.viewer():
        with pytest.raises(ConnectionClosed) as late, page.viewer():
            pass
        assert late.value.rcvd is not None
        assert late.value.rcvd.code == 1013
        assert page.ask("/api/stream")[0] == 503
    wait_until(lambda: not page.session_state.viewers)
    with page.viewer() as viewer:
        assert viewer.next("state")


def test_browsers_may_give_so_many_sensors(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GIVERS", 1)
    with page.viewer() as viewer:
        viewer.give("text")
        viewer.send(type="give", modality="audio")
        assert "sensors of browsers" in viewer.next("refused")["reason"]


def test_a_connection_that_asks_for_nothing_is_closed(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SILENT", 0.1)
    with raw(page.port, b"GET / HT") as connection, suppress(ConnectionResetError):
        assert connection.recv(1) == b""


def test_a_body_that_never_ends_is_not_awaited(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SILENT", 2.0)  # the time of the header, too
    head = f"POST /api/label HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nContent-Length: 9\r\n\r\n{{"
    with raw(page.port, head.encode()) as connection:
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_a_client_that_leaves_within_its_body_costs_no_traceback(
    page: Served, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST /api/label HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nContent-Length: 9\r\n\r\n{{"
    with raw(page.port, head.encode()):
        wait_until(lambda: page.ask("/api/state")[0] == 200)
    assert page.ask("/api/state")[0] == 200
    assert caplog.text == ""
