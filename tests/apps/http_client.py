"""Requests to a page on the loopback."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection

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
