"""An HTTP server for POST requests of those who know a token; all others get little of it.

One thread serves all connections (asyncio), so that one which is half open costs a place, not a thread.
"""

import asyncio
import hmac
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network
from resource import RLIMIT_NOFILE, getrlimit
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from sensemble_sensors.clock import Clock
from sensemble_sensors.errors import BadDataError

LARGEST = 1 << 20  # bytes of a body
_HEAD = 1 << 14  # bytes of a request line and headers
_PATIENCE = 20.0  # seconds for a request's head, and again for its body; TCP sends again after 1, 3 and 7
_IDLE = 60.0  # seconds that the connection of a known sender may wait for its next request
_PARTING = 1.0  # seconds in which a refused client may read why
_AGAIN = 0.1  # seconds to wait when the system has no descriptor for a connection
_BACKLOG = 1024  # connections that wait to be accepted; a client that is dropped tries again in a second
_CONNECTIONS = 128  # at the same time; at most a quarter of the process's descriptors
_HOSTS = 64  # of known senders that are remembered
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    405: "Method Not Allowed",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
}


@dataclass(eq=False)
class _Connection:
    """A connection; `known` once it delivered a whole request with the token, the last one at `since`."""

    host: str
    transport: asyncio.WriteTransport
    since: float
    known: bool = False


class PushServer:
    """Hands the bodies of POST requests to `take`, in its own thread, until it is closed.

    When all places are taken, a connection is closed for the new one: of strangers before known senders, of
    the address that has most before others, and the oldest.

    Args:
        address: host and port to listen at; port 0 takes a free one.
        token: what a request shows by `?token=` or `Authorization: Bearer`; "" for none, and then a page in a
            browser, which states its origin, is refused.
        take: called with a request's path, its body, its sender and the time; BadDataError refuses the body.
        clock: tells the time of a request.

    Raises OSError if it cannot listen.
    """

    def __init__(
        self,
        address: tuple[str, int],
        token: str,
        take: Callable[[str, bytes, str, float], None],
        clock: Clock,
    ) -> None:
        self._token, self._take, self._clock = token, take, clock
        self._most = min(_CONNECTIONS, getrlimit(RLIMIT_NOFILE)[0] // 4)
        self._connections: set[_Connection] = set()
        self._hosts: dict[str, None] = {}  # of known senders, the last one last
        self._socket = socket.create_server(
            address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET, backlog=_BACKLOG
        )
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = Thread(target=self._run, name=f"push {address[0]}:{self.address[1]}", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop to listen, and close all connections."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        accepting = asyncio.create_task(self._accept())
        await self._stop.wait()
        accepting.cancel()
        handlers = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in self._connections:
            connection.transport.abort()
        await asyncio.gather(*handlers, return_exceptions=True)
        self._socket.close()

    async def _accept(self) -> None:
        self._socket.setblocking(False)
        followed = set()  # a task that nobody holds may vanish
        while True:
            try:
                accepted, _ = await self._loop.sock_accept(self._socket)
                reader, writer = await asyncio.open_connection(sock=accepted, limit=_HEAD)
            except OSError:  # no descriptor is free, or the client is gone
                await asyncio.sleep(_AGAIN)
                continue
            follower = asyncio.create_task(self._follow(reader, writer))
            followed.add(follower)
            follower.add_done_callback(followed.discard)
            # Before the next one is accepted, a request that has come is read: it must not make room.
            await asyncio.sleep(0)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = str(writer.get_extra_info("peername", ("",))[0]).partition("%")[0]
        if ":" in host:  # who has an IPv6 address has 2^64
            host = str(ip_network((host, 64), strict=False))
        connection = _Connection(host, writer.transport, self._clock.now())
        self._connections.add(connection)
        if len(self._connections) > self._most:
            self._close_one()
        try:
            while not writer.is_closing() and await self._serve_one(reader, writer, connection):
                pass
        except (OSError, EOFError, TimeoutError):  # the client hung up, or was too slow
            pass
        finally:
            self._connections.discard(connection)
            writer.close()

    def _close_one(self) -> None:
        held = Counter(connection.host for connection in self._connections)

        def worth(connection: _Connection) -> tuple[bool, bool, int, float]:
            host = connection.host  # a phone may connect anew for each post
            return connection.known, host in self._hosts, -held[host], connection.since

        least = min(self._connections, key=worth)
        self._connections.discard(least)
        least.transport.abort()

    async def _serve_one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection
    ) -> bool:
        """Answer the next request; return whether the connection stays open."""
        try:
            async with asyncio.timeout(_IDLE if connection.known else _PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return await self._refuse(reader, writer, 431, f"give at most {_HEAD} bytes of headers")
        try:
            first, *lines = head.decode("latin-1").strip().split("\r\n")
            method, target, version = first.split(" ")
            path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
            fields = (line.partition(":") for line in lines)
            headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        except ValueError:
            return await self._refuse(reader, writer, 400, "this is no HTTP request")
        if not self._allows(query, headers):
            return await self._refuse(
                reader, writer, 401, "give the token: ?token=, or the header Authorization: Bearer"
            )
        if method != "POST":
            return await self._refuse(reader, writer, 405, "send rows by POST")
        size = headers.get("content-length", "")
        if not (size.isdecimal() and len(size) < 10 and int(size) <= LARGEST):
            return await self._refuse(
                reader, writer, 413, f"give a Content-Length of at most {LARGEST} bytes"
            )
        async with asyncio.timeout(_PATIENCE):
            body = await reader.readexactly(int(size))
        connection.known, connection.since = True, self._clock.now()
        self._hosts.pop(connection.host, None)
        self._hosts[connection.host] = None
        if len(self._hosts) > _HOSTS:
            del self._hosts[next(iter(self._hosts))]
        kept = headers.get("connection", "" if version == "HTTP/1.1" else "close").lower() != "close"
        try:
            self._take(path, body, connection.host, connection.since)
        except BadDataError as error:
            _answer(writer, 400, str(error), kept=kept)
        else:
            _answer(writer, 200, "", kept=kept)
        await writer.drain()
        return kept

    def _allows(self, query: dict[str, list[str]], headers: dict[str, str]) -> bool:
        given = query.get("token", [""])[0], headers.get("authorization", "").removeprefix("Bearer ")
        known = any(hmac.compare_digest(each.encode(), self._token.encode()) for each in given)
        # A page in a browser here must not push: it always states its origin.
        return known if self._token else "origin" not in headers

    async def _refuse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int, text: str
    ) -> bool:
        """Answer, and give the client time to read it: bytes that nobody reads would reset the connection."""
        _answer(writer, status, text, kept=False)
        writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PARTING):
                while await reader.read(_HEAD):
                    pass
        return False


def _answer(writer: asyncio.StreamWriter, status: int, text: str, *, kept: bool) -> None:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: {'keep-alive' if kept else 'close'}\r\n\r\n"
    )
    writer.write(head.encode() + body)
