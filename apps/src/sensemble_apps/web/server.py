"""The web server of a page: its application, its socket, and the thread that it runs in."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol

from sensemble_apps.console.output import say
from sensemble_apps.errors import InputError, StepError, until_stopped
from sensemble_apps.web.connections import Connections
from sensemble_apps.web.security import CONTENT_POLICY, Access, Guard, admit

_CLOSE = 2  # seconds that clients have to leave
_PING = 5.0  # seconds between two pings of a client, and for its answer


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address of this machine, port 0 for a free one; else InputError."""
    if not 0 <= port < 1 << 16:
        raise InputError(f"--port {port}: give 0 to 65535; 0 takes a free one")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # else another process may bind to it as well
    except OSError as error:
        raise InputError(
            f"--host {host} --port {port}: cannot be served ({error}); give an address of this machine, "
            "and a free port, or 0 for any"
        ) from error
    return listening


@contextmanager
def published(
    listening: socket.socket,
    title: str,
    host: str,
    routes: Sequence[BaseRoute],
    largest: int = 1,
    content_policy: str = CONTENT_POLICY,
    fragment: str = "",
) -> Iterator[None]:
    """Serve a page to clients that `admit` lets in while the block runs, and print its address."""
    admitted = admit(host, listening.getsockname()[1], fragment)
    with running_server(listening, admitted.access, routes, largest, admitted.tls, content_policy):
        for line in admitted.lines(title):
            say(line)
        yield


def serve(
    title: str,
    host: str,
    port: int,
    routes: Sequence[BaseRoute],
    content_policy: str = CONTENT_POLICY,
    fragment: str = "",
) -> None:
    """Serve a page until Ctrl-C; its printed address ends with `fragment`."""
    with (
        listen(host, port) as listening,
        published(listening, title, host, routes, content_policy=content_policy, fragment=fragment),
        until_stopped(),
    ):
        Event().wait()


@contextmanager
def running_server(
    listening: socket.socket,
    access: Access,
    routes: Sequence[BaseRoute],
    largest: int,
    tls: ssl.SSLContext | None = None,
    content_policy: str = CONTENT_POLICY,
) -> Iterator[None]:
    """Serve routes on a listening socket, which is closed at the end, in a thread while the block runs.

    Args:
        listening: the socket.
        access: the rules of access.
        routes: of the page.
        largest: bytes of the largest message of a WebSocket (`clients.largest_message`).
        tls: the context of TLS; None for none.
        content_policy: the Content-Security-Policy of the page.
    """
    connections = Connections(listening, tls)
    guard = Middleware(Guard, access=access, connections=connections, content_policy=content_policy)
    config = uvicorn.Config(
        Starlette(routes=routes, middleware=[guard]),
        http="h11",
        ws_max_size=largest,
        ws_ping_interval=_PING,
        ws_ping_timeout=_PING,
        ws_per_message_deflate=False,  # costs more of the processor than of a home's network
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_CLOSE,
    )
    server = uvicorn.Server(config)
    logging.getLogger("uvicorn.error").addFilter(_is_ours)

    async def serve() -> None:
        accepting = asyncio.create_task(
            connections.serve(partial(H11Protocol, config, server.server_state, {}))
        )
        await server.serve(sockets=[])
        accepting.cancel()

    thread = Thread(target=lambda: asyncio.run(serve()), name="sensemble server", daemon=True)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
            if not thread.is_alive():
                raise StepError("the web server did not start")
        yield
    finally:
        server.should_exit = True
        thread.join(2.0 * _CLOSE)
        listening.close()


def _is_ours(record: logging.LogRecord) -> bool:
    """Return False for a client's mistake, which it is told: any stranger could fill the terminal."""
    return record.levelno >= logging.ERROR and not record.msg.startswith("Invalid UTF-8")
