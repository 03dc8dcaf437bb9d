"""Time as this process lives it."""

ROUNDING = 1e-6  # seconds by which a sum of times may fall short
GAP = 1.0  # seconds between two looks at the clock that count: a process that runs looks more often


class RunningTime:
    """Seconds in which this process ran, for deadlines that a busy or stopped machine must not break.

    Of the time between two looks, `GAP` counts at most: one who waits looks at least that often.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._looked: float | None = None

    def look(self, now: float) -> float:
        """Take the present time; return the seconds in which this process ran so far."""
        if self._looked is not None:
            self.seconds += min(max(now - self._looked, 0.0), GAP)
        self._looked = now if self._looked is None else max(now, self._looked)
        return self.seconds
