"""The wait before trying again what has failed."""


class Backoff:
    """Waits in seconds: `first`, doubled with each failure, up to `longest`; `delay` is the next one."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self.delay = first

    def next(self) -> float:
        """Return the wait, and double the one after it."""
        delay = self.delay
        self.delay = min(2 * delay, self._longest)
        return delay

    def reset(self) -> None:
        """Begin with the first wait again, because a try succeeded."""
        self.delay = self._first
