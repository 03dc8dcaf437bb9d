"""The live page: files, messages to viewers, and the REST interface of `static/openapi.json`."""

import json
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.errors import printable
from sensemble_sensors.lines import Fields
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from sensemble_apps.live_page.session_page import SessionPage
from sensemble_apps.live_page.session_state import SessionState
from sensemble_apps.tables.run_folder import bundle_title
from sensemble_apps.web import limits
from sensemble_apps.web.clients import Clients, Messages, describe_modalities
from sensemble_apps.web.handlers import REQUESTS, body_of, bounded, files, perform, refused
from sensemble_apps.web.limits import Rate
from sensemble_apps.web.viewers import EVERY, LONGEST, wait_for

STATIC = Path(__file__).with_name("static")
_PATHS = {
    "unplug": "/api/sensors/{sensor:path}/unplug",
    "plug": "/api/sensors/{sensor:path}/plug",
    "condition": "/api/sensors/{sensor:path}/condition",
    "label": "/api/label",
    "record": "/api/record",
    "wake": "/api/wake",
}
_BODIES: dict[str, dict[str, Any]] = {"condition": {"severity": 3}, "label": {}, "record": {}}
"""The actions whose requests have a body, with the defaults of its fields."""
_LASTS = 300.0  # seconds of an event stream: its reader may be gone; EventSource opens another
_ROUNDED = 1e-3  # seconds that the time of an answer may be off


def routes(page: SessionPage, home: str | None = None, *, replayed: bool = False) -> list[BaseRoute]:
    """Return the routes of a served session; the arguments are those of `messages`."""
    kept, bound = page.session_state, partial(bounded, Rate(REQUESTS, page.session.clock))
    greet = partial(messages, page, home, replayed=replayed)
    clients = Clients(page.sensors, greet, page.actions, page.press)

    async def state(_: Request) -> Response:
        bundle, snapshot = kept.newest()
        return JSONResponse({"bundle": hello(bundle), "state": snapshot})

    async def stream(_: Request) -> Response:
        if len(kept.viewers) >= limits.VIEWERS:
            return refused("too many viewers; close another one", 503)
        return StreamingResponse(_events(kept), media_type="text/event-stream")

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


def messages(page: SessionPage, home: str | None, *, replayed: bool) -> Messages:
    """Yield the messages to one client: `hello` at first and once another bundle answers, and states.

    A state has what is new to this client. `home` is the page that this one belongs to; `replayed` says that
    a replay plays.
    """
    kept = page.session_state
    known: dict[str, int] = {}  # previews that it has
    entries = 0  # of the timeline, that it has
    greeted = ""  # the fingerprint of the bundle that it knows
    place = printable(str(page.recordings.absolute()))
    while True:
        bundle, snapshot = kept.newest()
        if bundle.fingerprint != greeted:
            greeted, entries = bundle.fingerprint, 0  # the page begins its timeline again
            own = {"home": home, "replayed": replayed, "recordings": place, "examples": kept.examples}
            yield {"type": "hello", **hello(bundle), "every": EVERY, **own}
            continue
        state = {"type": "state", **snapshot, "timeline": kept.timeline(entries)}
        if state["timeline"]:
            entries = state["timeline"][-1]["number"]
        state["demo"] = page.demo
        state["previews"] = kept.sensors.previews(known, partial(_until, kept, state["answer"]))
        yield state


def _until(kept: SessionState, answer: dict[str, Any] | None, modality: str) -> float:
    """Return up to when samples are shown: those of the answer's window, in the pace of its last hop."""
    if answer is None:
        return math.inf
    age, hop = answer["ages"].get(modality, answer["age"]), kept.sensors.specs[modality].hop
    made = kept.began + answer["time"]
    return float(made - age + min(0.0, kept.sensors.clock.now() - made - hop) + _ROUNDED)


def hello(bundle: Bundle) -> dict[str, Any]:
    """Return the constants of a bundle: its name, labels, modalities and subsets."""
    return {
        "bundle": printable(bundle_title(bundle.path)),
        "fingerprint": bundle.fingerprint,
        "labels": list(bundle.manifest.labels),
        "modalities": describe_modalities(bundle.specs),
        "subsets": audited(bundle),
        "promise": bundle.manifest.calibration.promise,
    }


def audited(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the subsets of the bundle's modalities with their audited scores, null where there is none."""
    rows = []
    for subset in subsets.measured(bundle.modalities):
        score = bundle.manifest.audited.get(subsets.name(subset))
        numbers = {"accuracy": None} if score is None else asdict(score)
        rows.append({"subset": subsets.name(subset), "modalities": list(subset), **numbers})
    return rows


async def _events(kept: SessionState) -> AsyncIterator[str]:
    """Yield new entries of the timeline, and the state: also unchanged, to notice a viewer that left."""
    now = kept.sensors.clock.now
    with kept.viewers.watching() as changed:
        entries = kept.timeline()
        number, seen, sent = (entries[-1]["number"] if entries else 0), -1, now()
        until = now() + _LASTS
        while now() < until:
            if kept.version != seen or now() - sent > LONGEST:  # not for each sample
                seen, sent = kept.version, now()
                for entry in kept.timeline(number):
                    number = entry["number"]
                    yield _event("event" if "fault" in entry else entry["kind"], entry)
                yield _event("state", kept.snapshot())
            await wait_for(changed)


def _event(kind: str, data: Mapping[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False, allow_nan=False)}\n\n"
