"""The studio's page: its files, its WebSocket, and the same actions as requests of programs."""

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sensemble_sensors.lines import MAX_SECONDS, Fields
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from sensemble_apps.studio.delivery import parts
from sensemble_apps.studio.messages import messages, states
from sensemble_apps.studio.studio import Studio
from sensemble_apps.web.clients import Action, Clients
from sensemble_apps.web.handlers import REQUESTS, body_of, bounded, files, perform, refused
from sensemble_apps.web.limits import Rate

_DOWNLOADS = {"model", "site", "data"}
_MOST = 10**9  # the largest number of a take or a run
STATIC = Path(__file__).with_name("static")


def routes(studio: Studio) -> list[BaseRoute]:
    """Return the routes of the studio: its page at `/`, and the live page at `/live/`."""
    acts = actions(studio)
    bound = partial(bounded, Rate(REQUESTS))
    clients = Clients(studio.sensors, partial(messages, studio), acts)

    async def state(_: Request) -> Response:
        return JSONResponse(next(states(studio)))

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

    async def download(request: Request) -> Response:
        what, run = request.path_params["what"], request.query_params.get("run", "0")
        if what not in _DOWNLOADS or not re.fullmatch("[0-9]{1,9}", run):
            return refused("no such download", 404)
        file = await asyncio.to_thread(studio.download, what, int(run))
        name = quote(f"{studio.project.folder.resolve().name}-{what}.zip")
        kept = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
        return StreamingResponse(parts(file), headers=kept, media_type="application/zip")

    return [
        WebSocketRoute("/socket", clients.serve),
        Route("/api/state", bound(state)),
        Route("/api/takes/{number}", bound(thumbnail)),
        Route("/download/{what}.zip", bound(download)),
        Route("/api/{action}", bound(act), methods=["POST"]),
        Mount("/live", studio.live),
        Mount("/", files(STATIC)),
    ]


def actions(studio: Studio) -> Mapping[str, Action]:
    """Return the actions of a page or a program, by name."""
    return {
        "add_classes": lambda given: studio.add_classes(given.string("names")),
        "rename_class": lambda given: studio.rename_class(given.string("name"), given.string("new")),
        "remove_class": lambda given: studio.remove_class(given.string("name")),
        "record": lambda given: studio.record(
            given.text("class"),
            given.number("seconds", 0, MAX_SECONDS),
            given.integer("count", 1, _MOST) if "count" in given.values else 1,
            background=_flag(given, "background"),
            now=_flag(given, "now"),
        ),
        "stop_take": lambda _: studio.recorder.stop(),
        "delete_take": lambda given: studio.delete_take(given.integer("number", 0, _MOST)),
        "move_take": lambda given: studio.move_take(
            given.integer("number", 0, _MOST), given.text("class"), background=_flag(given, "background")
        ),
        "train": lambda given: studio.train(_run(given) if given.values.get("run") is not None else None),
        "cancel": lambda _: studio.cancel(),
        "send_to_phones": lambda given: studio.send_to_phones(_run(given)),
        "stop_phones": lambda _: studio.stop_phones(),
        "open_live": lambda given: studio.open_live(_run(given)),
        "unplug": lambda given: studio.sensors.unplug(given.string("sensor")),
        "plug": lambda given: studio.sensors.plug(given.string("sensor")),
    }


def _flag(given: Fields, name: str) -> bool:
    return name in given.values and given.flag(name)


def _run(given: Fields) -> int:
    return given.integer("run", 0, _MOST)
