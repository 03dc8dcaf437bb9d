"""The page's files, and the REST interface with its events; `static/openapi.json` describes both."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from sensemble_apps.errors import InputError
from sensemble_apps.serve.board import Board
from sensemble_apps.serve.controls import Controls
from sensemble_apps.serve.websocket import StateFeed, actions, hello
from sensemble_apps.web import limits
from sensemble_apps.web.clients import EVERY, Clients
from sensemble_apps.web.handlers import REQUESTS, body_of, bounded, refused
from sensemble_apps.web.limits import Rate

STATIC = Path(__file__).with_name("static")
_BEAT = 10.0  # seconds of quiet after which an event stream sends a comment, to see whether it is read


class Api:
    """The routes of a served session.

    Args:
        board: the state.
        controls: the buttons.
        home: the address of the page that the live page belongs to; None for none.
    """

    def __init__(self, board: Board, controls: Controls, home: str | None = None) -> None:
        self._board, self._controls = board, controls
        clients = Clients(board, board.switchboard, lambda: StateFeed(board, home), actions(controls))
        self._bound = partial(bounded, Rate(REQUESTS))
        self.routes: list[BaseRoute] = [
            WebSocketRoute("/socket", clients.serve),
            Route("/api/state", self._bound(self._state)),
            Route("/api/stream", self._bound(self._stream)),
            Route("/api/sensors/{name:path}/unplug", self._bound(self._unplug), methods=["POST"]),
            Route("/api/sensors/{name:path}/plug", self._bound(self._plug), methods=["POST"]),
            Route("/api/sensors/{name:path}/condition", self._bound(self._condition), methods=["POST"]),
            Route("/api/label", self._bound(self._label), methods=["POST"]),
            Route("/api/record", self._bound(self._record), methods=["POST"]),
            Mount("/", StaticFiles(directory=STATIC, html=True)),
        ]

    async def _state(self, _: Request) -> Response:
        return JSONResponse({"bundle": hello(self._board), "state": self._board.snapshot()})

    async def _stream(self, _: Request) -> Response:
        if self._board.viewers >= limits.VIEWERS:
            return refused("too many viewers; close another one", 503)
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        """Yield the state whenever it has changed, and each new entry of the timeline."""
        board = self._board
        board.viewers += 1
        try:
            entries = board.timeline()
            number, seen, sent = (entries[-1]["number"] if entries else 0), -1, monotonic()
            while True:
                if board.version != seen:
                    seen, sent = board.version, monotonic()
                    for entry in board.timeline(number):
                        number = entry["number"]
                        yield _event(entry["kind"], entry)
                    yield _event("state", board.snapshot())
                elif monotonic() - sent > _BEAT:
                    sent = monotonic()
                    yield ": nothing new\n\n"
                await asyncio.sleep(EVERY)
        finally:
            board.viewers -= 1

    async def _unplug(self, request: Request) -> Response:
        return await _done(self._controls.unplug, request.path_params["name"])

    async def _plug(self, request: Request) -> Response:
        return await _done(self._controls.plug, request.path_params["name"])

    async def _condition(self, request: Request) -> Response:
        body = await body_of(request)
        condition, severity = body.get("condition"), body.get("severity", 3)
        if not isinstance(condition, str | None) or not isinstance(severity, int):
            raise InputError("condition: must be a text or null, severity a whole number")
        await asyncio.to_thread(self._controls.degrade, request.path_params["name"], condition, severity)
        return Response(status_code=204)

    async def _label(self, request: Request) -> Response:
        label = (await body_of(request)).get("label")
        if label is not None and not isinstance(label, str):
            raise InputError("label: must be a text or null")
        return await _done(self._controls.label, label)

    async def _record(self, request: Request) -> Response:
        on = (await body_of(request)).get("on")
        if not isinstance(on, bool):
            raise InputError("on: must be true or false")
        await asyncio.to_thread(self._controls.record, on=on)
        return Response(status_code=204)


async def _done(act: Callable[[Any], None], argument: str | None) -> Response:
    await asyncio.to_thread(act, argument)
    return Response(status_code=204)


def _event(kind: str, data: Mapping[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False, allow_nan=False)}\n\n"
