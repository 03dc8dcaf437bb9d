"""The web server of a session: its application, its socket, and the thread that it runs in."""

import socket
import ssl
from threading import Thread
from types import TracebackType
from typing import Self

import uvicorn
from sensemble_sensors.kinds.registry import kind_of
from starlette.applications import Starlette
from starlette.middleware import Middleware

from sensemble_apps.errors import InputError, StepError
from sensemble_apps.serve import limits
from sensemble_apps.serve.api import Api
from sensemble_apps.serve.board import Board
from sensemble_apps.serve.browser_sensor import HEADER
from sensemble_apps.serve.controls import Controls
from sensemble_apps.serve.limits import BoundedLoop, bounded_protocol
from sensemble_apps.serve.security import Access, Guard
from sensemble_apps.serve.switchboard import Switchboard
from sensemble_apps.serve.websocket import Clients

_CLOSE = 2  # seconds that clients have to leave
_STARTS = 10.0  # seconds that the server may take to start
_PING = 5.0  # seconds between two looks whether a client still answers, and for its answer


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address of this machine; port 0 for a free one.

    Raises:
        InputError: the address is not this machine's, or is in use.
    """
    if not 0 <= port < 1 << 16:
        raise InputError(f"--port {port}: give 0 to 65535; 0 takes a free one")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise InputError(
            f"--host {host} --port {port}: cannot be served ({error}); --port 0 takes a free one"
        ) from error
    return listening


class Server:
    """Serves a board on a listening socket, from a thread of its own, while the block runs.

    Args:
        listening: the socket; it is closed at the end.
        access: who may.
        board: the state.
        switchboard: its sensors.
        controls: the buttons.
        tls: the context of TLS; None for none.
    """

    def __init__(
        self,
        listening: socket.socket,
        access: Access,
        board: Board,
        switchboard: Switchboard,
        controls: Controls,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        api = Api(board, controls, Clients(board, switchboard, controls))
        app = Starlette(routes=api.routes, middleware=[Middleware(Guard, access=access)])
        slots = [kind_of(modality).slot_size(spec) for modality, spec in board.bundle.specs.items()]
        config = uvicorn.Config(
            app,
            http=bounded_protocol(),
            loop=f"{BoundedLoop.__module__}:{BoundedLoop.__name__}",
            ws_max_size=max(*slots, limits.BODY) + HEADER.size,
            ws_ping_interval=_PING,
            ws_ping_timeout=_PING,
            ws_per_message_deflate=False,  # costs more of the processor than of a home's network
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE,
            ssl_context_factory=None if tls is None else lambda *_: tls,
        )
        self._server = uvicorn.Server(config)
        self._socket = listening
        self._thread = Thread(
            target=self._server.run, args=([listening],), name="sensemble server", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        waited = 0.0
        while not self._server.started:
            self._thread.join(0.02)
            waited += 0.02
            if not self._thread.is_alive() or waited > _STARTS:
                raise StepError("the web server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(2.0 * _CLOSE)
        self._socket.close()
