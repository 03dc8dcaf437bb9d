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

from sensemble_apps.serve.board import LiveMessages, hello
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


class Api:
    """The routes of a served session."""

    def __init__(self, page: SessionPage, home: str | None = None, *, demo: bool = False) -> None:
        self._board = page.board
        self._actions = page.actions
        messages = partial(LiveMessages, page.board, home, demo=demo)
        clients = Clients(page.sensors, messages, self._actions)
        bound = partial(bounded, Rate(REQUESTS))
        self.routes: list[BaseRoute] = [
            WebSocketRoute("/socket", clients.serve),
            Route("/api/state", bound(self._state)),
            Route("/api/stream", bound(self._stream)),
            *(
                Route(path, bound(partial(self._act, name)), methods=["POST"])
                for name, path in _PATHS.items()
            ),
            Mount("/", files(STATIC)),
        ]

    async def _state(self, _: Request) -> Response:
        return JSONResponse({"bundle": hello(self._board), "state": self._board.snapshot()})

    async def _stream(self, _: Request) -> Response:
        if len(self._board.viewers) >= limits.VIEWERS:
            return refused("too many viewers; close another one", 503)
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        """Yield new entries of the timeline, and the state: also unchanged, to notice a viewer that left."""
        board = self._board
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

    async def _act(self, name: str, request: Request) -> Response:
        given = await body_of(request) if name in _BODIES else Fields("{}")
        given.values = {**_BODIES.get(name, {}), **given.values, **request.path_params}
        return await perform(self._actions[name], given)


def _event(kind: str, data: Mapping[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False, allow_nan=False)}\n\n"
