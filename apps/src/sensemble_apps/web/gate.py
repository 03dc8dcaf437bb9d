"""The gate of a server: accepts every connection, counts it until its socket is closed, ends idle ones."""

import asyncio
import socket
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from resource import RLIMIT_NOFILE, getrlimit
from ssl import SSLContext
from typing import Any

from starlette.types import Scope

from sensemble_apps.web import limits

_End = tuple[str, int]  # an address and a port
_Ends = tuple[_End, _End]  # of a client, and of the server: which has several addresses, as a client one port
_AGAIN = 0.1  # seconds until a connection is accepted again, where the system had no descriptor for it


class Gate:
    """Accepts the connections of a server, few enough that sensors and recordings keep their descriptors.

    A connection has `limits.SILENT` seconds until a request of it is admitted, and again after each answer:
    whether it spends them on a handshake, a header or a refused body. Where there are too many, from one
    address or in all, the one that has been idle for longest gives way.
    """

    def __init__(self, listening: socket.socket, tls: SSLContext | None) -> None:
        self._listening, self._tls = listening, tls
        self._most = min(limits.CONNECTIONS, getrlimit(RLIMIT_NOFILE)[0] // 4)
        self._connections: dict[_Ends, _Connection] = {}

    async def serve(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections until this is cancelled; `make` makes the protocol of each."""
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        if sys.platform == "linux":  # a connection, which inherits it, ends where its client takes nothing
            milliseconds = round(1e3 * limits.UNREAD)
            self._listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        try:
            while True:
                try:
                    accepted, (host, port, *_) = await loop.sock_accept(self._listening)
                except OSError:
                    await asyncio.sleep(_AGAIN)
                    continue
                if self._has_room(host):
                    ends = (host, port), accepted.getsockname()[:2]
                    self._connections[ends] = _Connection(accepted, make, self._tls)
                else:
                    accepted.close()
                await asyncio.sleep(0)  # for the one that gives way to be closed
        finally:
            for connection in self._connections.values():
                connection.abort()

    @contextmanager
    def answering(self, scope: Scope) -> Iterator[None]:
        """Give an admitted request as long as the block takes."""
        connection = self._connections.get((scope["client"], scope["server"]))
        if connection is None:  # it is closed already
            yield
            return
        connection.answering += 1
        connection.timer.cancel()
        try:
            yield
        finally:
            connection.answering -= 1
            if not connection.answering:
                connection.wait()

    def _has_room(self, host: str) -> bool:
        """Return whether another connection from `host` may be held; abort an idle one if that makes room."""
        self._connections = {ends: one for ends, one in self._connections.items() if one.is_open}
        idle: dict[str, list[_Ends]] = defaultdict(list)
        for ends, one in self._connections.items():
            if not one.answering:
                idle[ends[0][0]].append(ends)
        if sum(client[0] == host for client, _ in self._connections) >= self._most // 2:
            others = idle[host]
        elif len(self._connections) >= self._most:
            others = max(idle.values(), key=len, default=[])
        else:
            return True
        if others:
            self._connections.pop(min(others, key=lambda ends: self._connections[ends].timer.when())).abort()
        return bool(others)


class _Connection:
    """A connection, from when it was accepted until its socket is closed.

    Attributes:
        answering: how many admitted requests of it are being answered.
        timer: aborts it unless a request is admitted.
    """

    def __init__(self, accepted: socket.socket, make: Callable[[], Any], tls: SSLContext | None) -> None:
        self.answering = 0
        self._socket = accepted
        self._transport: asyncio.Transport | None = None  # None until the handshake is done
        self._loop = asyncio.get_running_loop()
        self._opening = self._loop.create_task(self._open(make, tls))
        self.wait()

    @property
    def is_open(self) -> bool:
        return self._socket.fileno() >= 0

    def wait(self) -> None:
        self.timer = self._loop.call_later(limits.SILENT, self.abort)

    def abort(self) -> None:
        self.timer.cancel()
        self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def _open(self, make: Callable[[], Any], tls: SSLContext | None) -> None:
        with suppress(OSError):  # the client is gone, or speaks no TLS
            self._transport, _ = await self._loop.connect_accepted_socket(make, self._socket, ssl=tls)
