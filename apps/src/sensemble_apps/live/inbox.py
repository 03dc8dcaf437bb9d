"""The queue between a session, which must not wait, and the viewer of what it tells."""

from collections import deque
from collections.abc import Iterator
from threading import Condition

from sensemble_runtime.events import Event
from sensemble_runtime.prediction import Prediction

_CAPACITY = 256  # predictions and events kept for a viewer that is slow


class Inbox:
    """The bounded queue of a viewer: when full, the oldest gives way, so that a slow viewer stays current.

    Attributes:
        missed: how many the viewer never saw.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self.missed = 0
        self._items: deque[Prediction | Event] = deque(maxlen=capacity)
        self._ends = 0  # that no reader has come to
        self._error: Exception | None = None
        self._changed = Condition()

    def put(self, news: Prediction | Event) -> None:
        """Add a prediction or an event; never blocks."""
        with self._changed:
            self.missed += len(self._items) == self._items.maxlen
            self._items.append(news)
            self._changed.notify()

    def end(self, error: Exception | None = None) -> None:
        """Let the reader end, or raise `error`, once it has what was put."""
        with self._changed:
            self._ends += 1
            self._error = error
            self._changed.notify()

    def __iter__(self) -> Iterator[Prediction | Event]:
        """Yield what was put, to the next end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ends)
                if not self._items:
                    self._ends -= 1
                    if self._error is not None:
                        raise self._error
                    return
                news = self._items.popleft()
            yield news
