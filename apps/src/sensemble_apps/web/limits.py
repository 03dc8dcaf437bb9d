"""Bounds on what clients may take: connections, messages, bytes; what exceeds them is dropped or closed."""

from time import monotonic

CONNECTIONS = (
    128  # of a server at most; never more than a quarter of its descriptors, half of it by an address
)
VIEWERS = 32  # WebSockets and event streams together
GIVERS = 8  # sensors that browsers give, together
COMMANDS = 20.0  # a second, of a client
SAMPLES = 250.0  # a second, of a client: 200 are what a session reads of one sensor at most
BYTES = 16e6  # a second, of a client
BURST = 2.0  # seconds of any of these that may come at once
BODY = 1 << 16  # bytes of a request, and of a message in text

SILENT = 5.0  # seconds that a connection has until a request of it is admitted
UNREAD = 20.0  # seconds after which a client that takes nothing of what it is sent is gone


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
