"""When something was captured, by the source's own clock, though it comes late now and then."""

import math
from collections import deque


class Clock:
    """Maps a source's own time to that of `time.monotonic`, by what has come soonest of late.

    Args:
        memory: of how many readings one is the soonest.
    """

    def __init__(self, memory: int) -> None:
        self._origins: deque[float] = deque(
            maxlen=memory
        )  # when the source's time began, as each reading has it
        self._last = -math.inf

    def read(self, position: float, time: float) -> float:
        """Return when it was `position` seconds by the source's clock; `time` is when at the latest."""
        self._origins.append(time - position)
        self._last = max(self._last, min(self._origins) + position)
        return self._last
