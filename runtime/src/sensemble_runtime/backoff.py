"""The wait before trying again what has failed."""


class Backoff:
    """Seconds to wait before the next try: the first wait, doubled with each failure, up to the longest.

    Attributes:
        delay: seconds that the next wait takes.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self.delay = first

    def next(self) -> float:
        """Return how many seconds to wait now, and double the wait after it."""
        delay = self.delay
        self.delay = min(2 * delay, self._longest)
        return delay

    def reset(self) -> None:
        """Begin with the first wait again, because a try succeeded."""
        self.delay = self._first
