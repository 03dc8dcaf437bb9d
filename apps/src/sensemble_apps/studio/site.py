"""The studio's page: its files, its WebSocket, and the same actions as requests of programs."""

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from sensemble_apps.studio.messages import StudioMessages
from sensemble_apps.studio.studio import SPECS, Studio
from sensemble_apps.web.clients import Action, Clients, largest_message
from sensemble_apps.web.handlers import REQUESTS, body_of, bounded, files, perform, refused
from sensemble_apps.web.limits import Rate
from sensemble_apps.web.messages import number, optional_text, text, truth, whole

STATIC = Path(__file__).with_name("static")


def routes(studio: Studio) -> list[BaseRoute]:
    """Return the routes of the studio: its page at `/`, and the live page at `/live/`."""
    acts = actions(studio)
    bound = partial(bounded, Rate(REQUESTS))
    clients = Clients(studio.sensors, lambda: StudioMessages(studio), acts)

    async def state(_: Request) -> Response:
        return JSONResponse(StudioMessages(studio).state())

    async def thumbnail(request: Request) -> Response:
        number = request.path_params["number"]
        if not re.fullmatch("[0-9]{1,9}", number):
            return refused("no such take", 404)
        return JSONResponse(await asyncio.to_thread(studio.takes.thumbnail, int(number)))

    async def act(request: Request) -> Response:
        action = acts.get(request.path_params["action"])
        if action is None:
            return refused("no such action", 404)
        return await perform(action, await body_of(request))

    return [
        WebSocketRoute("/socket", clients.serve),
        Route("/api/state", bound(state)),
        Route("/api/takes/{number}", bound(thumbnail)),
        Route("/api/{action}", bound(act), methods=["POST"]),
        Mount("/live", studio.live),
        Mount("/", files(STATIC)),
    ]


def largest() -> int:
    """Return the bytes of the largest message of a client: of the studio, or of a live page of its models.

    A bundle's samples are no larger than those of the recording that it was trained on.
    """
    return largest_message(SPECS)


def actions(studio: Studio) -> Mapping[str, Action]:
    """Return what a page and a program may do, by name."""
    return {
        "add_classes": lambda given: studio.add_classes(text(given, "names")),
        "rename_class": lambda given: studio.rename_class(text(given, "name"), text(given, "new")),
        "remove_class": lambda given: studio.remove_class(text(given, "name")),
        "record": lambda given: studio.record(
            optional_text(given, "class"),
            number(given, "seconds"),
            whole({"count": 1, **given}, "count"),
            background=truth({"background": False, **given}, "background"),
            now=truth({"now": False, **given}, "now"),
        ),
        "stop_take": lambda _: studio.recorder.stop(),
        "delete_take": lambda given: studio.delete_take(whole(given, "number")),
        "move_take": lambda given: studio.move_take(
            whole(given, "number"),
            optional_text(given, "class"),
            background=truth({"background": False, **given}, "background"),
        ),
        "train": lambda given: studio.train(None if given.get("run") is None else whole(given, "run")),
        "cancel": lambda _: studio.cancel(),
        "open_live": lambda given: studio.open_live(whole(given, "run")),
        "unplug": lambda given: studio.sensors.unplug(text(given, "sensor")),
        "plug": lambda given: studio.sensors.plug(text(given, "sensor")),
    }
