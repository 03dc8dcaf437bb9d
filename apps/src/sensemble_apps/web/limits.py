"""Bounds on connections, messages and bytes of clients; what exceeds them is dropped or closed."""

from sensemble_sensors.clock import Clock

CONNECTIONS = 128  # of a server; at most a quarter of the process's descriptors, and half from one address
VIEWERS = 32  # WebSockets and event streams together
GIVERS = 8  # sensors that browsers give, together
COMMANDS = 20.0  # a second, of a client
SAMPLES = 250.0  # a second, of a client: 200 are what a session reads of one sensor at most
BYTES = 16e6  # a second, of a client
BURST = 2.0  # seconds of the rates above that may come at once
BODY = 1 << 16  # bytes of a request, and of a message in text

SILENT = 20.0  # seconds until a connection must have an admitted request; TCP sends again after 1, 3 and 7
UNREAD = 20.0  # seconds after which a client that reads nothing is disconnected


class Rate:
    """Bounds an amount a second, with bursts (a token bucket)."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._rate, self._clock = per_second, clock
        self._most = self._left = per_second * BURST
        self._at = clock.now()

    def allows(self, amount: float = 1.0) -> bool:
        """Count `amount`, and return True, if it is within the bound."""
        now = self._clock.now()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True
