"""Bounds on what clients may take: connections, messages, bytes; what exceeds them is dropped or closed."""

import asyncio
from time import monotonic
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

VIEWERS = 32  # WebSockets and event streams together
GIVERS = 8  # sensors that browsers give, together
COMMANDS = 20.0  # a second, of a client
SAMPLES = 250.0  # a second, of a client: 200 are what a session reads of one sensor at most
BYTES = 16e6  # a second, of a client
BURST = 2.0  # seconds of any of these that may come at once
BODY = 1 << 16  # bytes of a request, and of a message in text

SILENT = 5.0  # seconds within which a connection must have asked for something
_IDLE = 64  # connections that have not asked for anything yet; the oldest is closed for another


class Rate:
    """A bound on an amount a second, some of which may come at once (a token bucket)."""

    def __init__(self, per_second: float, burst: float = BURST) -> None:
        self._rate = per_second
        self._most = self._left = per_second * burst
        self._at = monotonic()

    def allows(self, amount: float = 1.0) -> bool:
        """Return whether `amount` more is within the bound, and count it if it is."""
        now = monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 whose idle connections are few and short: a thousand that say nothing keep no viewer out."""

    _waiting: "ClassVar[dict[BoundedProtocol, asyncio.TimerHandle]]"  # in the order of their coming

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; close the one that has been silent for longest if there are too many."""
        super().connection_made(transport)
        self._waiting[self] = self.loop.call_later(SILENT, self.give_up)
        if len(self._waiting) > _IDLE:
            next(iter(self._waiting)).give_up()

    def data_received(self, data: bytes) -> None:
        """Read, and note a first complete request."""
        super().data_received(data)
        if self.cycle is not None or self.transport.get_protocol() is not self:
            self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._settle()
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Close a connection that has asked for nothing."""
        self._settle()
        self.transport.abort()

    def _settle(self) -> None:
        timer = self._waiting.pop(self, None)
        if timer is not None:
            timer.cancel()


class BoundedLoop(asyncio.SelectorEventLoop):
    """An event loop on which a client must have agreed on TLS within `SILENT`, not within a minute."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:  # noqa: ANN401 - as its base
        """See `asyncio`."""
        if options.get("ssl") is not None:
            options["ssl_handshake_timeout"] = SILENT
        return await super().create_server(*arguments, **options)


def bounded_protocol() -> type[BoundedProtocol]:
    """Return the protocol of one server, whose idle connections are counted by themselves."""

    class Bounded(BoundedProtocol):
        _waiting: ClassVar[dict[BoundedProtocol, asyncio.TimerHandle]] = {}

    return Bounded
