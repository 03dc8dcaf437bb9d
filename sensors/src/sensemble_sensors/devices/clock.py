"""Compute the time of capture by a source's own clock when its samples arrive late."""

import math
from collections import deque


class Clock:
    """Maps a source's own time to `time.monotonic` by the least delayed of the last `memory` readings."""

    def __init__(self, memory: int) -> None:
        self._origins: deque[float] = deque(maxlen=memory)  # when the source's time began, by each reading
        self._last = -math.inf

    def read(self, position: float, time: float) -> float:
        """Return when the source's clock showed `position` seconds; `time` is the latest that it can be."""
        self._origins.append(time - position)
        self._last = max(self._last, min(self._origins) + position)
        return self._last
