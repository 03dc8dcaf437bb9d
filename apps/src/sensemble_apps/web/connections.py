"""Accept the connections of a server, bound their number, and end idle ones."""

import asyncio
import socket
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from resource import RLIMIT_NOFILE, getrlimit
from ssl import SSLContext
from traceback import clear_frames
from typing import Any

from starlette.types import Scope

from sensemble_apps.web import limits

_Ends = tuple[tuple[str, int], tuple[str, int]]  # address and port, of the client and of the server
_AGAIN = 0.1  # seconds to wait when the system has no descriptor for a connection
_TURNS = 4  # timers of a wait, in a row: a server that stood still, however long, then reads before the next


class Connections:
    """Accepts the connections of a server, and leaves sensors and recordings their descriptors.

    A connection has `limits.SILENT` seconds for its handshake and header until a request is admitted, and
    again after each answer. Where there are too many, from one address or in all, the longest idle one is
    aborted.
    """

    def __init__(self, listening: socket.socket, tls: SSLContext | None) -> None:
        self._listening, self._tls = listening, tls
        self._most = min(limits.CONNECTIONS, getrlimit(RLIMIT_NOFILE)[0] // 4)
        self._connections: dict[_Ends, _Connection] = {}

    async def serve(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections until this is cancelled; `make` returns the protocol of each."""
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        if sys.platform == "linux":  # connections inherit it: one whose client reads nothing ends
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
                await asyncio.sleep(0)  # lets an aborted connection close
        finally:
            for connection in self._connections.values():
                connection.abort()

    @contextmanager
    def answering(self, scope: Scope) -> Iterator[None]:
        """Keep the connection of an admitted request open while the block runs."""
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
        """Return whether there is room for a connection from `host`; abort an idle one for it."""
        for ends in [ends for ends, one in self._connections.items() if not one.is_open]:
            self._connections.pop(ends).abort()  # its timer would hold 256 kB
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
            self._connections.pop(min(others, key=lambda ends: self._connections[ends].idle_since)).abort()
        return bool(others)


class _Connection:
    """An accepted connection; `timer` aborts it unless one of its requests is `answering`."""

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
        self.idle_since = self._loop.time()
        self._wait(_TURNS)

    def _wait(self, turns: int) -> None:
        if turns:
            self.timer = self._loop.call_later(limits.SILENT / _TURNS, self._wait, turns - 1)
        else:
            self.abort()

    def abort(self) -> None:
        self.timer.cancel()
        self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def _open(self, make: Callable[[], Any], tls: SSLContext | None) -> None:
        try:
            self._transport, _ = await self._loop.connect_accepted_socket(make, self._socket, ssl=tls)
        except (OSError, asyncio.CancelledError) as failed:  # the client is gone, or speaks no TLS
            clear_frames(failed.__traceback__)  # else 256 kB stay in a cycle
