"""The wait before a retry."""

RETRY = (0.5, 10.0)  # seconds before the first retry, and before later ones at most


class Backoff:
    """Waits in seconds, doubled with each failure, as `RETRY` says; `delay` is the next one."""

    def __init__(self) -> None:
        self._first, self._longest = RETRY
        self.delay = self._first

    def next(self) -> float:
        """Return the wait, and double the one after it."""
        delay = self.delay
        self.delay = min(2 * delay, self._longest)
        return delay

    def reset(self) -> None:
        """Begin with the first wait again, because a try succeeded."""
        self.delay = self._first
