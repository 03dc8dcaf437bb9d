"""The interface for programs, as its description says."""

import json
import re
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any

import pytest
from sensemble_apps.live_page import api
from sensemble_apps.web import handlers
from sensemble_apps.web.limits import Rate
from sensemble_sensors.clock import REAL
from starlette.routing import Route

from tests.waiting import PATIENCE

from .serving import Served

pytestmark = pytest.mark.real

DESCRIPTION: dict[str, Any] = json.loads((api.STATIC / "openapi.json").read_text())


def test_every_route_is_described_and_every_description_has_its_route() -> None:
    session = SimpleNamespace(clock=REAL)
    page: Any = SimpleNamespace(session=session, session_state=None, sensors=None, actions={}, press=print)
    routes = api.routes(page)
    found = {
        (route.path.replace(":path", ""), method.lower())
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or ()) - {"HEAD"}
    }
    described = {(path, method) for path, methods in DESCRIPTION["paths"].items() for method in methods}
    assert found == described


def test_the_state_is_of_the_form_that_is_described(replayed: Served) -> None:
    with replayed.viewer() as viewer:
        viewer.next("state", lambda state: state["answer"])
    answer = json.loads(replayed.ask("/api/state")[2])
    types: dict[str, type | tuple[type, ...]] = {
        "integer": int, "number": (int, float), "string": str, "array": list, "object": dict,
        "null": type(None),
    }  # fmt: skip
    for key, name in ("bundle", "Bundle"), ("state", "State"):
        schema = DESCRIPTION["components"]["schemas"][name]
        assert set(answer[key]) == set(schema["required"]) == set(schema["properties"])
        for field, form in schema["properties"].items():
            allowed = form["type"] if isinstance(form["type"], list) else [form["type"]]
            assert any(isinstance(answer[key][field], types[kind]) for kind in allowed), field


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/api/sensors/none/unplug", None, "none: no such sensor; there are"),
        ("/api/label", {"label": "nothing"}, "nothing: no such label; there are"),
        ("/api/label", {"label": 3}, "label: expected a string"),
        ("/api/label", [], "the body is not an object of JSON"),
        ("/api/label", b"{", "the body is not an object of JSON"),
        ("/api/label", b"[" * 60000, "the body is not an object of JSON"),
        (
            "/api/record",
            b'{"on": false, "on": true}',
            "the body is not an object of JSON (a key is repeated: on",
        ),
        ("/api/label", b"x" * 70000, "the body is longer than 65536 bytes"),
        ("/api/record", {"on": "yes"}, "on: expected true or false"),
        ("/api/record", {}, "on: expected true or false"),
        ("/api/sensors/none/condition", {"condition": 3}, "condition: expected a string"),
        ("/api/sensors/none/condition", {"severity": True}, "severity: expected an integer from 1 to 5"),
        ("/api/sensors/none/condition", {"severity": "3"}, "severity: expected an integer from 1 to 5"),
        ("/api/sensors/none/condition", {"severity": 2.5}, "severity: expected an integer from 1 to 5"),
        ("/api/sensors/none/condition", {"sensor": "replay audio"}, "none: no such sensor; there are"),
    ],
)
def test_what_cannot_be_done_is_refused(replayed: Served, path: str, body: object, reason: str) -> None:
    status, _, answer = replayed.ask(path, "POST", body)
    assert status == 400
    assert json.loads(answer)["reason"].startswith(reason)


def test_what_is_not_there_and_a_file_outside_are_refused(replayed: Served) -> None:
    assert replayed.ask("/api/label")[0] == 404
    assert replayed.ask("/../server.py")[0] == 404
    assert replayed.ask("/%2e%2e/server.py")[0] == 404


def test_events_come_as_they_happen(replayed: Served) -> None:
    connection = HTTPConnection("127.0.0.1", replayed.port, timeout=PATIENCE)
    connection.request("GET", "/api/stream")
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen: dict[str, Any] = {}
    unplugged = False
    while seen.get("event", {}).get("kind") != "detached":  # a slow machine's sensors may be unhealthy first
        line = answer.readline().decode().rstrip("\n")
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
            seen[kind] = json.loads(answer.readline().decode().removeprefix("data: "))
        if "state" in seen and not unplugged:
            unplugged = replayed.ask("/api/sensors/replay%20text/unplug", "POST")[0] == 204
    connection.close()
    assert replayed.ask("/api/sensors/replay%20text/plug", "POST")[0] == 204
    assert "answer" in seen["state"]


def test_a_stream_ends_and_makes_room(replayed: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_LASTS", 0.5)
    assert b"event: state" in replayed.ask("/api/stream")[2]
    assert len(replayed.session_state.viewers) == 0


def test_too_many_requests_are_refused(replayed: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rate, "allows", lambda *_: False)
    assert replayed.ask("/api/state")[0] == 429


def test_the_files_of_the_page_load_nothing_from_elsewhere() -> None:
    for path in (*api.STATIC.iterdir(), *handlers.SHARED.iterdir()):
        text = path.read_text(encoding="utf-8")
        addresses = set(re.findall(r"https?://[^\"'\s)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert addresses == set(), path.name
        assert "innerHTML" not in text
        assert "eval(" not in text
