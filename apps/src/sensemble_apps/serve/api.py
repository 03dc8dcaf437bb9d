"""The live page's files, and the REST interface with its events; `static/openapi.json` describes both."""

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from sensemble_sensors.lines import Fields
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from sensemble_apps.serve.board import Board
from sensemble_apps.serve.messages import hello, messages
from sensemble_apps.serve.session_page import SessionPage
from sensemble_apps.web import limits
from sensemble_apps.web.clients import Clients
from sensemble_apps.web.handlers import REQUESTS, body_of, bounded, files, perform, refused
from sensemble_apps.web.limits import Rate
from sensemble_apps.web.viewers import LONGEST, wait_for

STATIC = Path(__file__).with_name("static")
_PATHS = {
    "unplug": "/api/sensors/{sensor:path}/unplug",
    "plug": "/api/sensors/{sensor:path}/plug",
    "condition": "/api/sensors/{sensor:path}/condition",
    "label": "/api/label",
    "record": "/api/record",
}
_BODIES: dict[str, dict[str, Any]] = {"condition": {"severity": 3}, "label": {}, "record": {}}
"""The actions whose requests have a body, with the defaults of its fields."""
_LASTS = 300.0  # seconds of an event stream: its reader may be gone; EventSource opens another


def routes(
    page: SessionPage, home: str | None = None, *, replayed: bool = False, demo: bool = False
) -> list[BaseRoute]:
    """Return the routes of a served session; the arguments are those of `messages`."""
    board, bound = page.board, partial(bounded, Rate(REQUESTS))
    greet = partial(messages, page, home, replayed=replayed, demo=demo)
    clients = Clients(page.sensors, greet, page.actions, page.used.set)

    async def state(_: Request) -> Response:
        bundle, snapshot = board.newest()
        return JSONResponse({"bundle": hello(bundle), "state": snapshot})

    async def stream(_: Request) -> Response:
        if len(board.viewers) >= limits.VIEWERS:
            return refused("too many viewers; close another one", 503)
        return StreamingResponse(_events(board), media_type="text/event-stream")

    async def act(name: str, request: Request) -> Response:
        given = await body_of(request) if name in _BODIES else Fields("{}")
        given.values = {**_BODIES.get(name, {}), **given.values, **request.path_params}
        return await perform(page.actions[name], given)

    return [
        WebSocketRoute("/socket", clients.serve),
        Route("/api/state", bound(state)),
        Route("/api/stream", bound(stream)),
        *(Route(path, bound(partial(act, name)), methods=["POST"]) for name, path in _PATHS.items()),
        Mount("/", files(STATIC)),
    ]


async def _events(board: Board) -> AsyncIterator[str]:
    """Yield new entries of the timeline, and the state: also unchanged, to notice a viewer that left."""
    with board.viewers.watching() as changed:
        entries = board.timeline()
        number, seen, sent = (entries[-1]["number"] if entries else 0), -1, monotonic()
        until = monotonic() + _LASTS
        while monotonic() < until:
            if board.version != seen or monotonic() - sent > LONGEST:  # not for each sample
                seen, sent = board.version, monotonic()
                for entry in board.timeline(number):
                    number = entry["number"]
                    yield _event(entry["kind"], entry)
                yield _event("state", board.snapshot())
            await wait_for(changed)


def _event(kind: str, data: Mapping[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False, allow_nan=False)}\n\n"
