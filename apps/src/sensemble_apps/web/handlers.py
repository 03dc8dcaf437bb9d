"""The files of a page, and request handlers with bounds and one-line errors."""

import asyncio
from collections.abc import Awaitable, Callable
from mimetypes import guess_type
from pathlib import Path

from sensemble_sensors.errors import BadDataError, SensembleError
from sensemble_sensors.lines import Fields
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sensemble_apps.errors import InputError
from sensemble_apps.web import limits
from sensemble_apps.web.clients import Action
from sensemble_apps.web.limits import Rate
from sensemble_apps.web.site import APP, bundle_files

SHARED = Path(__file__).with_name("static")
REQUESTS = 50.0  # a second, of all clients together
PHONE_POLICY = "frame-ancestors 'none'"
"""The page for phones says itself what may run; it needs WebAssembly."""
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a phone is another machine, and needs the token
Handler = Callable[[Request], Awaitable[Response]]


def files(folder: Path) -> StaticFiles:
    """Serve the files of a page, and those that all pages share."""
    return StaticFiles(directory=folder, packages=[(__package__, SHARED.name)], html=True)


def given(name: str, read: Callable[[], bytes]) -> Route:
    """Serve the bytes that `read` returns as the file `name`; its errors in JSON."""

    def answer(_: Request) -> Response:
        try:
            return Response(read(), media_type=guess_type(name)[0])
        except SensembleError as error:
            return refused(str(error), 500)

    return Route(f"/{name}", answer)


def phone_routes(bundle: Path, trust: Path | None = None) -> list[BaseRoute]:
    """Return the routes of the page that runs a bundle by itself, and of the bundle's verified files.

    No copy is made, which a kill would leave behind. Raises as `bundle_files`.
    """
    beside = [given(name, read) for name, read in bundle_files(bundle, trust).items()]
    return [*beside, Mount("/", StaticFiles(directory=APP, html=True))]


def bounded(rate: Rate, answer: Handler) -> Handler:
    """Return a handler that bounds the rate, and answers errors in JSON."""

    async def handle(request: Request) -> Response:
        if not rate.allows():
            return refused("too many requests; wait a second", 429)
        try:
            return await answer(request)
        except SensembleError as error:
            return refused(str(error), 500 if error.own else 400)

    return handle


async def body_of(request: Request) -> Fields:
    """Return the object of JSON of a request; InputError if it is too long, late or none."""
    data = b""
    try:
        async with asyncio.timeout(limits.SILENT):
            async for part in request.stream():
                data += part
                if len(data) > limits.BODY:
                    raise InputError(f"the body is longer than {limits.BODY} bytes")
    except TimeoutError as error:
        raise InputError(f"the body did not come within {limits.SILENT:g} s") from error
    except ClientDisconnect as error:  # else uvicorn prints a traceback
        raise InputError("the client left before the end of the body") from error
    try:
        return Fields(data)
    except BadDataError as error:
        raise InputError(f"the body is not an object of JSON ({error})") from error


async def perform(action: Action, given: Fields) -> Response:
    """Run an action with the fields of a request, in a thread."""
    await asyncio.to_thread(action, given)
    return Response(status_code=204)


def refused(reason: str, status: int) -> Response:
    """Return a refusal with its reason."""
    return JSONResponse({"reason": reason}, status)
