"""The page of the studio: files, messages to viewers, and the same actions as requests of programs."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sensemble_sensors.lines import MAX_SECONDS, Fields
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from sensemble_apps.running.take_recorder import SHORTEST, TakeRecorder
from sensemble_apps.studio.delivery import parts
from sensemble_apps.studio.project import CLASSES
from sensemble_apps.studio.project import LONGEST as LONGEST_NAME
from sensemble_apps.studio.studio import IN_A_ROW, LONGEST, SPECS, Studio
from sensemble_apps.web.clients import Action, Clients, Messages, describe_modalities
from sensemble_apps.web.handlers import REQUESTS, body_of, bounded, files, perform, refused
from sensemble_apps.web.limits import Rate
from sensemble_apps.web.viewers import EVERY

_DOWNLOADS = {"model", "site", "data"}
_MOST = 10**9  # the largest number of a take or a run
STATIC = Path(__file__).with_name("static")


def routes(studio: Studio) -> list[BaseRoute]:
    """Return the routes of the studio: its page at `/`, and the live page at `/live/`."""
    acts = actions(studio)
    bound = partial(bounded, Rate(REQUESTS, studio.capture.clock))
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


def messages(studio: Studio) -> Messages:
    """Yield the messages to one client: the modalities and the bounds of what it may ask for, then states.

    A state has the previews that are new to this client.
    """
    yield {
        "type": "hello",
        "folder": studio.project.folder.resolve().name,
        "modalities": describe_modalities(SPECS),
        "bounds": {
            "classes": CLASSES,
            "name": LONGEST_NAME,
            "shortest": SHORTEST,
            "longest": LONGEST,
            "row": IN_A_ROW,
        },
        "every": EVERY,
    }
    known: dict[str, int] = {}
    for state in states(studio):
        yield {**state, "previews": studio.sensors.previews(known)}


def states(studio: Studio) -> Messages:
    """Yield the newest state, with the project's summary when that has changed."""
    sent = -1
    while True:
        # First: a change from here on is in the next state, or the page would show it with an older training.
        version, project, job = studio.version, studio.summary, studio.job
        state = {
            "type": "state",
            "sensors": studio.sensors.describe(studio.began),
            "take": _take(studio.recorder),
            "failure": studio.failure,
            "training": None if job is None else job.snapshot(),
            "answer": None if (session := studio.live.session) is None else session.answer(),
        }
        if sent != version:
            sent = version
            state["project"] = project
        yield state


def _take(recorder: TakeRecorder) -> dict[str, Any] | None:
    if (progress := recorder.progress) is None:
        return None
    fields = asdict(progress) | {"left": round(recorder.left(progress), 2)}
    del fields["until"], fields["tried"]
    return fields


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
