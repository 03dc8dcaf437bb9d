"""Read sensors without a bundle, to record or to show their samples."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Condition
from time import monotonic
from typing import Any, Self, TypeVar

from sensemble_runtime.background_queue import BackgroundQueue
from sensemble_runtime.events import Event
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.sensor_set import SensorSet
from sensemble_runtime.session.sensor_thread import CLOSE, join
from sensemble_runtime.session.session import Session
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from sensemble_apps.console.output import remark

_WAITING = 1024  # samples or events that may wait for a slow subscriber

T = TypeVar("T")


class SensorReader:
    """Reads the sensors that are attached to it; safe from any thread. A context manager.

    It is the `Sink` of their set; its methods are those of a `Session`.

    Args:
        specs: the form of the samples, by modality.
        health: when a sensor is unhealthy, so that its samples are left out; None: never. A drifting one is
            kept, and marked.
    """

    stopped = False

    def __init__(self, specs: Mapping[str, InputSpec], health: Thresholds | None) -> None:
        self.changed = Condition()
        self.specs = specs
        self._set = SensorSet(self, health and replace(health, doubted=health.doubted | {"drift"}))
        self._opened = False  # whether a sensor could be opened
        self._subscribers: list[BackgroundQueue[Event]] = []
        self._listeners: list[BackgroundQueue[tuple[str, Sample]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading every sensor, and wait until subscribers have what was read."""
        with self.changed:
            self.stopped = True
            threads = self._set.stop()
        deadline = monotonic() + CLOSE
        if left := join(threads, deadline):
            names = ", ".join(thread.name for thread in left)
            remark(f"sensemble: {names}: did not stop in time; its thread is left behind")
        queues: list[BackgroundQueue[Any]] = [*self._subscribers, *self._listeners]
        for queue in queues:
            queue.close()
        for queue in queues:
            queue.join(max(0.0, deadline - monotonic()))

    @property
    def over(self) -> bool:
        """True when all sensors have ended."""
        with self.changed:
            return self._set.over

    @property
    def unavailable(self) -> str:
        """The reason why no sensor could be opened so far; empty where one could, or was not tried yet."""
        with self.changed:
            reasons = self._set.reasons
            none = not self._opened and all(kind == "unavailable" for kind, _ in reasons)
            return "; ".join(reason for _, reason in reasons) if none else ""

    # As of `Session`.

    def attach(self, sensor: Sensor) -> str:
        """Start reading a sensor, and return the name by which to detach it."""
        with self.changed:
            return self._set.attach(sensor)

    def detach(self, name: str) -> bool:
        """Stop reading a sensor."""
        with self.changed:
            return self._set.detach(name)

    def retry(self, name: str) -> bool:
        """Try a lost sensor again now; return whether there is one."""
        with self.changed:
            return self._set.retry(name)

    def subscribe(self, callback: Callable[[Prediction | Event], None]) -> BackgroundQueue[Any]:
        """Call `callback` with every event from now on."""
        return self._add(callback, self._subscribers)

    def listen(self, callback: Callable[[str, Sample], None]) -> BackgroundQueue[Any]:
        """Call `callback` with the sensor's name and each sample of the active sensors."""
        return self._add(lambda item: callback(*item), self._listeners)

    def _add(self, callback: Callable[[T], None], queues: list[BackgroundQueue[T]]) -> BackgroundQueue[T]:
        def work(batch: list[T]) -> None:
            for item in batch:
                callback(item)

        queue = BackgroundQueue("sensemble subscriber", _WAITING, work, failed=_failed)
        with self.changed:
            queues.append(queue)
        return queue

    def unsubscribe(self, subscriber: BackgroundQueue[Any]) -> bool:
        """Stop new calls; queued items are still delivered."""
        with self.changed:
            for queues in (self._subscribers, self._listeners):
                if subscriber in queues:
                    queues.remove(subscriber)
                    subscriber.close()
                    return True
        return False

    # For the sensor set: see `Sink`.

    def load(self, modality: str) -> None:
        """Do nothing: no encoder is needed."""

    def push(self, sample: Sample, sensor: str) -> None:
        """Give a sample to every listener."""
        for listener in self._listeners:
            listener.put((sensor, sample))

    def is_pending(self, modality: str) -> bool:  # noqa: ARG002 - nothing is worked on
        """Return False: a sample is given away at once."""
        return False

    def remove(self, modality: str, *, ended: bool, needed: bool) -> None:
        """Do nothing: nothing is kept of a sensor."""

    def report(self, event: Event) -> None:
        """Give an event to every subscriber."""
        self._opened |= getattr(event, "kind", "") == "attached"
        for subscriber in self._subscribers:
            subscriber.put(event)


Reader = Session | SensorReader
"""Reads the sensors that are attached to it."""


def _failed(error: BaseException) -> None:
    remark(f"sensemble: {type(error).__name__}: {error}")
