"""Handlers of HTTP requests that are bounded, and that word what the user cannot have."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sensemble_sensors.errors import SensembleError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sensemble_apps.errors import InputError
from sensemble_apps.web import limits
from sensemble_apps.web.limits import Rate
from sensemble_apps.web.messages import object_of

REQUESTS = 50.0  # a second, of all clients together
Handler = Callable[[Request], Awaitable[Response]]


def bounded(rate: Rate, answer: Handler) -> Handler:
    """Return a handler that bounds the rate, and answers an error of the user in JSON, in one line."""

    async def handle(request: Request) -> Response:
        if not rate.allows():
            return refused("too many requests; wait a second", 429)
        try:
            return await answer(request)
        except SensembleError as error:
            return refused(str(error), 500 if error.own else 400)

    return handle


async def body_of(request: Request) -> dict[str, Any]:
    """Return the object of JSON that a request brings.

    Raises:
        InputError: it is too long, or is none.
    """
    data = b""
    try:
        async with asyncio.timeout(limits.SILENT):
            async for part in request.stream():
                data += part
                if len(data) > limits.BODY:
                    raise InputError(f"the body is longer than {limits.BODY} bytes")
    except TimeoutError as error:
        raise InputError(f"the body did not come within {limits.SILENT:g} s") from error
    try:
        return object_of(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is not an object of JSON ({error})") from error


def refused(reason: str, status: int) -> Response:
    """Return a refusal with its reason."""
    return JSONResponse({"reason": reason}, status)
