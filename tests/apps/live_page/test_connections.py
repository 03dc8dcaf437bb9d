"""Connections that say nothing, drip, or read nothing: few, short, and never in the way of the others."""

import gc
import json
import re
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPSConnection
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from time import sleep
from typing import Any
from urllib.parse import urlsplit

import pytest
from sensemble_apps.web import connections, limits
from sensemble_apps.web.certificate import self_signed
from sensemble_apps.web.security import Access
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.recording.reader import is_recording

from tests.apps.served import running
from tests.waiting import PATIENCE, wait_until

from .serving import Served, serving

pytestmark = pytest.mark.real

TOKEN = "a-token-of-the-test"  # noqa: S105 - as it says
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DRIP = b"POST /api/label HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 99999\r\n\r\n{"


@pytest.fixture
def page(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A page that holds 8 connections, 4 of an address."""
    monkeypatch.setattr(limits, "CONNECTIONS", 8)
    with serving(bundle, access=Access(token=TOKEN)) as served:
        yield served


def call(port: int, data: bytes = b"", host: str = "127.0.0.1") -> socket.socket:
    """Open a connection from an address of the loopback, and say no more than `data`."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE, (host, 0))
    connection.sendall(data)
    return connection


def held(port: int) -> int:
    """Count the connections to a port that were accepted and are not closed."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] != "0A" and row[9] != "0" for row in rows)


def is_closed(connection: socket.socket) -> bool:
    """Read until the server closes."""
    with suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass
    return True


def test_an_address_that_says_nothing_gives_way_to_itself_and_to_others(page: Served) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(call(page.port))
        for number in range(60):
            stack.enter_context(call(page.port, b"GET / HT", f"127.0.0.{2 + number % 3}"))
        assert page.ask("/api/state", headers=BEARER)[0] == 200
        with page.viewer(additional_headers=BEARER) as viewer:
            assert viewer.next("state")
            for _ in range(60):
                stack.enter_context(call(page.port))
            assert is_closed(first)
            assert viewer.next("state")
            wait_until(lambda: held(page.port) <= 8)


def test_a_handshake_that_never_comes_is_bounded(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", 8)
    monkeypatch.setattr(limits, "SILENT", 10 * PATIENCE)
    tls, _ = self_signed(["127.0.0.1"])
    access = Access(secure=True, token=TOKEN)
    with serving(bundle, access=access, tls=tls) as served, ExitStack() as stack:
        silent = [stack.enter_context(call(served.port, b"\x16\x03" * (n % 2))) for n in range(60)]
        wait_until(lambda: held(served.port) <= 4)
        assert is_closed(silent[0])
        unchecked = ssl._create_unverified_context()  # noqa: S323 - the certificate has its own test
        with served.viewer(additional_headers=BEARER, ssl=unchecked) as viewer:
            assert viewer.next("state")


def test_connections_that_are_gone_leave_no_memory(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SILENT", 10 * PATIENCE)
    tls, _ = self_signed(["127.0.0.1"])
    unchecked = ssl._create_unverified_context()  # noqa: S323 - the certificate has its own test
    with serving(bundle, access=Access(secure=True, token=TOKEN), tls=tls) as served:

        def left() -> int:
            call(served.port).close()  # the next one finds what is gone
            return sum(isinstance(one, SSLProtocol) for one in gc.get_objects())

        gc.collect()
        gc.disable()  # it would come late: the buffers are few objects, but 256 kB each
        try:
            for _ in range(20):
                call(served.port, b"\x16\x03\x01\x02\x00\x01").close()
                unchecked.wrap_socket(call(served.port)).close()
            wait_until(lambda: left() < 10)
        finally:
            gc.enable()


@pytest.mark.parametrize("seconds", [1.2, 3.0])
def test_a_server_that_stood_still_answers_who_asked_meanwhile(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    class Stalling(connections._Connection):
        def __init__(self, *given: Any) -> None:  # noqa: ANN401
            super().__init__(*given)
            sleep(seconds)

    monkeypatch.setattr(limits, "SILENT", 1.0)
    monkeypatch.setattr(connections, "_Connection", Stalling)
    with serving(bundle) as served:
        assert served.ask("/api/state")[0] == 200


def test_after_a_refusal_the_body_is_not_awaited(page: Served) -> None:
    with call(page.port, DRIP % page.port) as dripping:
        assert dripping.recv(12) == b"HTTP/1.1 401"
        assert is_closed(dripping)
    wait_until(lambda: held(page.port) == 0)


def test_a_stream_that_nobody_reads_ends(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNREAD", 1.0)
    with serving(bundle) as page, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", page.port))
        deaf.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
        wait_until(lambda: len(page.session_state.viewers) == 1)
        wait_until(lambda: len(page.session_state.viewers) == 0)


def test_strangers_leave_a_recording_its_descriptors(bundle_folder: Path, tmp_path: Path) -> None:
    limit = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (256, limit[1]))  # which the command inherits
    strangers = "--host", "0.0.0.0"  # noqa: S104
    started = running("serve", bundle_folder, *strangers, "--recordings", tmp_path / "takes")
    with ExitStack() as stack:
        stack.callback(setrlimit, RLIMIT_NOFILE, limit)
        process, address = stack.enter_context(started)
        setrlimit(RLIMIT_NOFILE, limit)
        assert re.search(r"SHA-256 must be ([0-9A-F]{2}:){31}[0-9A-F]{2}$", process.stdout.readline())
        assert "\N{UPPER HALF BLOCK}" in process.stdout.readline() + process.stdout.readline()
        parts = urlsplit(address)
        port, token = int(parts.port or 0), parts.query.removeprefix("token=")
        for number in range(300):
            with suppress(OSError):
                stack.enter_context(call(port, host=f"127.0.0.{2 + number % 8}"))
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 160
        context = ssl._create_unverified_context()  # noqa: S323 - the certificate has its own test
        asking = HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=context)
        asking.request("POST", "/api/record", json.dumps({"on": True}))
        assert asking.getresponse().status == 401, "without the token"
        asking.close()
        for body in {"on": True}, {"on": False}:
            asking.request("POST", "/api/record", json.dumps(body), {"Authorization": f"Bearer {token}"})
            answer = asking.getresponse()
            assert (answer.status, answer.read()) == (204, b"")
        assert is_recording(tmp_path / "takes")
