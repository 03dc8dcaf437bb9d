"""Requests to a page on the loopback."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.waiting import PATIENCE


def ask(
    port: int, path: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """Ask over plain HTTP; give the status, the headers and the body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, data, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


@dataclass(kw_only=True)
class ServedPage:
    """A page at a port of the loopback."""

    port: int
    secure: bool = False

    @property
    def origin(self) -> str:
        return f"{'https' if self.secure else 'http'}://127.0.0.1:{self.port}"

    def ask(
        self, path: str, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        return ask(self.port, path, method, body, headers)

    def state(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.ask("/api/state")[2])

    def wait(self, true: Callable[[Any], Any] = bool, patience: float = PATIENCE) -> Any:  # noqa: ANN401 - JSON
        """Wait for a state for which something is true."""
        until = time.monotonic() + patience
        while not true(state := self.state()):
            assert time.monotonic() < until, state
            time.sleep(0.1)
        return state

    @contextmanager
    def socket(self, path: str = "/socket", **options: Any) -> Iterator[ClientConnection]:  # noqa: ANN401
        """Open a WebSocket as the page itself would."""
        patient = {"open_timeout": PATIENCE, "ping_interval": None, "close_timeout": 1}
        given = {"additional_headers": {"Origin": self.origin}, **patient, **options}
        address = f"{'wss' if self.secure else 'ws'}://127.0.0.1:{self.port}{path}"
        with connect(address, max_size=None, compression=None, **given) as opened:
            yield opened
