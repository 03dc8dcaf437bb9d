"""The web server of a page: its application, its socket, and the thread that it runs in."""

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol

from sensemble_apps.console.output import say
from sensemble_apps.errors import InputError, StepError
from sensemble_apps.web.gate import Gate
from sensemble_apps.web.security import POLICY, Access, Guard, admit

_CLOSE = 2  # seconds that clients have to leave
_STARTS = 10.0  # seconds that the server may take to start
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
            f"--host {host} --port {port}: cannot be served ({error}); --port 0 takes a free one"
        ) from error
    return listening


@contextmanager
def published(
    listening: socket.socket,
    title: str,
    host: str,
    routes: Sequence[BaseRoute],
    largest: int = 1,
    policy: str = POLICY,
) -> Iterator[None]:
    """Serve a page to whom `admit` lets in while the block runs, and print its address; see `Server`."""
    access, tls, lines = admit(host, listening.getsockname()[1], title)
    with Server(listening, access, routes, largest, tls, policy):
        for line in lines:
            say(line)
        yield


class Server:
    """Serves routes on a listening socket, which it closes, in a thread while the block runs.

    Args:
        listening: the socket.
        access: the rules of access.
        routes: of the page.
        largest: bytes of the largest message of a WebSocket (`clients.largest_message`).
        tls: the context of TLS; None for none.
        policy: the Content-Security-Policy of the page.
    """

    def __init__(
        self,
        listening: socket.socket,
        access: Access,
        routes: Sequence[BaseRoute],
        largest: int,
        tls: ssl.SSLContext | None = None,
        policy: str = POLICY,
    ) -> None:
        self._gate = Gate(listening, tls)
        guard = Middleware(Guard, access=access, gate=self._gate, policy=policy)
        app = Starlette(routes=routes, middleware=[guard])
        config = uvicorn.Config(
            app,
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
        self._server = uvicorn.Server(config)
        self._socket = listening
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="sensemble server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        waited = 0.0
        while not self._server.started:
            self._thread.join(0.02)
            waited += 0.02
            if not self._thread.is_alive() or waited > _STARTS:
                raise StepError("the web server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(2.0 * _CLOSE)
        self._socket.close()

    async def _serve(self) -> None:
        make = partial(H11Protocol, self._server.config, self._server.server_state, {})
        accepting = asyncio.create_task(self._gate.serve(make))
        await self._server.serve(sockets=[])
        accepting.cancel()
