"""The base of a session and of a reader without a bundle: sensors and subscribers come and go."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sensemble_sensors.sensor import Sample, Sensor

from sensemble_runtime.background_queue import BackgroundQueue
from sensemble_runtime.errors import SessionError
from sensemble_runtime.events import Event
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.sensor_set import SensorSet, Sink

WAITING = 1024  # predictions and events, or samples, that may wait for a slow subscriber

Subscriber = BackgroundQueue[Prediction | Event]
Listener = BackgroundQueue[tuple[str, Sample]]  # samples with the name of their sensor
T = TypeVar("T")


class Shared(Sink, Protocol):
    """A sink with subscribers; hold `changed` for them."""

    subscribers: list[Subscriber]
    listeners: list[Listener]

    def fail(self, error: BaseException) -> None:
        """End with an error of a subscriber."""


class SensorHost:
    """Sensors that attach and detach at any time, and subscribers. Safe from any thread."""

    def __init__(self, shared: Shared, sensors: SensorSet) -> None:
        self._sensors = sensors
        self._shared = shared
        self._subscribers: list[BackgroundQueue[Any]] = []

    def attach(self, sensor: Sensor) -> str:
        """Start reading `sensor` in a thread of its own; return its name, numbered if another one has it.

        An event reports whether it could be opened. Raises SessionError if the session is closed, the bundle
        has no such modality, or the sensor is attached.
        """
        with self._shared.changed:
            if self._shared.stopped:
                raise SessionError(f"{sensor.name}: the session is closed; open another one")
            return self._sensors.attach(sensor)

    def detach(self, name: str) -> bool:
        """Stop reading a sensor, whose modality leaves the live set at once; False if it is not attached."""
        with self._shared.changed:
            return self._sensors.detach(name)

    def retry(self, name: str) -> bool:
        """Try a lost sensor again now; False if it is not attached."""
        with self._shared.changed:
            return self._sensors.retry(name)

    def subscribe(self, callback: Callable[[Prediction | Event], None]) -> Subscriber:
        """Call `callback` with every prediction and event from now on, in order, from a thread of its own.

        It may be slow, and call any method of the session; `stream` raises its errors. Return its bounded
        queue; `dropped` counts the items that a slow callback missed. Raises SessionError if the session is
        closed.
        """
        return self._subscribe(callback, self._shared.subscribers)

    def listen(self, callback: Callable[[str, Sample], None]) -> Listener:
        """Call `callback` with the sensor's name and each degraded, read-only sample of active sensors."""
        return self._subscribe(lambda item: callback(*item), self._shared.listeners)

    def unsubscribe(self, subscriber: Subscriber | Listener) -> bool:
        """Stop new calls; queued items are still delivered. False if it was not subscribed."""
        with self._shared.changed:
            if subscriber not in self._subscribers:
                return False
            self._subscribers.remove(subscriber)
            for queues in (self._shared.subscribers, self._shared.listeners):
                if subscriber in queues:
                    queues.remove(subscriber)  # type: ignore[arg-type]
        subscriber.close()
        return True

    def _subscribe(
        self, callback: Callable[[T], None], queues: list[BackgroundQueue[T]]
    ) -> BackgroundQueue[T]:
        def work(batch: list[T]) -> None:
            for item in batch:
                callback(item)

        with self._shared.changed:
            if self._shared.stopped:  # nobody would end its thread
                raise SessionError("subscribe: the session is closed; open another one")
            subscriber = BackgroundQueue("sensemble subscriber", WAITING, work, failed=self._shared.fail)
            self._subscribers.append(subscriber)
            queues.append(subscriber)
        return subscriber
