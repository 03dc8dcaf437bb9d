"""Read sensors without a bundle, to record or to show their samples."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Condition
from time import monotonic
from typing import Self

from sensemble_runtime.events import Event
from sensemble_runtime.session.sensor_host import Listener, SensorHost, Subscriber
from sensemble_runtime.session.sensor_set import SensorSet
from sensemble_runtime.session.sensor_thread import CLOSE, join
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from sensemble_apps.console.output import remark


class SensorReader(SensorHost):
    """Reads the attached sensors; a context manager, safe from any thread. It is the `Sink` of their set.

    By `health`, the samples of an unhealthy sensor are left out (None: never); a drifting one stays, marked.
    """

    stopped = False

    def __init__(self, specs: Mapping[str, InputSpec], health: Thresholds | None) -> None:
        self.changed = Condition()
        self.specs = specs
        self.subscribers: list[Subscriber] = []
        self.listeners: list[Listener] = []
        health = health and replace(health, doubted=health.doubted | {"drift"})
        super().__init__(self, SensorSet(self, health))
        self._opened = False  # whether a sensor could be opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop every sensor, and wait until the subscribers have its samples."""
        with self.changed:
            self.stopped = True
            threads = self._sensors.stop()
        deadline = monotonic() + CLOSE
        if left := join(threads, deadline):
            names = ", ".join(thread.name for thread in left)
            remark(f"sensemble: {names}: did not stop in time; its thread is left behind")
        for queue in self._subscribers:
            queue.close()
        for queue in self._subscribers:
            queue.join(max(0.0, deadline - monotonic()))

    @property
    def over(self) -> bool:
        """True when all sensors have ended."""
        with self.changed:
            return self._sensors.over

    @property
    def unavailable(self) -> str:
        """The reason why no sensor could be opened so far; empty where one could, or was not tried."""
        with self.changed:
            reasons = self._sensors.reasons
            none = not self._opened and all(kind == "unavailable" for kind, _ in reasons)
            return "; ".join(reason for _, reason in reasons) if none else ""

    # For the sensor set: see `Sink`.

    def load(self, modality: str) -> None:
        """Do nothing: no encoder is needed."""

    def push(self, sample: Sample, sensor: str) -> None:
        """Give a sample to every listener."""
        for listener in self.listeners:
            listener.put((sensor, sample))

    def is_pending(self, modality: str) -> bool:  # noqa: ARG002 - nothing is worked on
        """Return False: a sample is given away at once."""
        return False

    def remove(self, modality: str, *, ended: bool, needed: bool) -> None:
        """Do nothing: nothing is kept of a sensor."""

    def fail(self, error: BaseException) -> None:
        """Remark an error of a subscriber."""
        remark(f"sensemble: {type(error).__name__}: {error}")

    def report(self, event: Event) -> None:
        """Give an event to every subscriber."""
        self._opened |= getattr(event, "kind", "") == "attached"
        for subscriber in self.subscribers:
            subscriber.put(event)
