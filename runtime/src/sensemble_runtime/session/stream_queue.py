"""The queue between a session and its consumer."""

from collections import deque
from itertools import count

from sensemble_sensors.supervision.events import Event

from sensemble_runtime.prediction import Prediction

PREDICTIONS = 16  # waiting at most: few, because old ones are of no use
EVENTS = 1024  # waiting at most: many, because no event is sent twice


class StreamQueue:
    """Predictions and events for the consumer, in order; the lock is the caller's."""

    def __init__(self) -> None:
        self.missed = self.missed_events = 0  # predictions and events dropped for a slow consumer
        self._order = count()
        self._predictions: deque[tuple[int, Prediction]] = deque(maxlen=PREDICTIONS)
        self._events: deque[tuple[int, Event]] = deque(maxlen=EVENTS)

    def __bool__(self) -> bool:
        return bool(self._predictions or self._events)

    def put(self, item: Prediction | Event) -> None:
        """Add an item; the oldest prediction, or event, is dropped where there is no room."""
        if isinstance(item, Prediction):
            self.missed += len(self._predictions) == self._predictions.maxlen
            self._predictions.append((next(self._order), item))
        else:
            self.missed_events += len(self._events) == self._events.maxlen
            self._events.append((next(self._order), item))

    def get(self) -> Prediction | Event:
        """Remove and return the first item; there must be one."""
        if not self._events or (self._predictions and self._predictions[0][0] < self._events[0][0]):
            return self._predictions.popleft()[1]
        return self._events.popleft()[1]
