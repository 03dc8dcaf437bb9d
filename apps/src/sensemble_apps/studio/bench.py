"""The sensors of the studio: read all the time, for previews, takes and the live page alike."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Condition
from time import monotonic

from sensemble_runtime.events import Event, SensorEvent
from sensemble_runtime.session.sensor_set import SensorSet
from sensemble_runtime.session.sensor_thread import CLOSE, join
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import DEFAULT

from sensemble_apps.console.output import remark
from sensemble_apps.running.view_events import LiveSetChange, view_event
from sensemble_apps.web.sensor_states import SensorStates
from sensemble_apps.web.switchboard import Switchboard

# A camera's own rate will do; a stream that drifts is kept, and marked.
_HEALTH = replace(DEFAULT, picture_rate=0.0, doubted=DEFAULT.doubted | {"drift"})

Listener = Callable[[Sample], None]


class Bench:
    """Reads the sensors that its switchboard attaches, and is the `Sink` of their set; safe from any thread.

    Args:
        specs: the form of the samples, by modality.

    Attributes:
        switchboard: plugs sensors in and out, and records them.
        states: of the sensors, with the lock `changed`.
        version: grows with each event of a sensor.
        listener: called with each sample of an active sensor, and never waits; None for nobody.
    """

    def __init__(self, specs: Mapping[str, InputSpec]) -> None:
        self.changed = Condition()
        self.specs = specs
        self.states = SensorStates()
        self.version = 0
        self.listener: Listener | None = None
        self.switchboard = Switchboard(self, specs)
        self._began = monotonic()
        self._set = SensorSet(self, _HEALTH)
        self._stopped = False

    def close(self) -> None:
        """Stop reading every sensor."""
        with self.changed:
            self._stopped = True
            threads = self._set.stop()
        if left := join(threads, monotonic() + CLOSE):
            names = ", ".join(thread.name for thread in left)
            remark(f"sensemble: {names}: did not stop in time; its thread is left behind")

    # For the switchboard: see `Reader`.

    def attach(self, sensor: Sensor) -> str:
        """See `Reader`."""
        with self.changed:
            return self._set.attach(sensor)

    def detach(self, name: str) -> bool:
        """See `Reader`."""
        with self.changed:
            return self._set.detach(name)

    def retry(self, name: str) -> bool:
        """See `Reader`."""
        with self.changed:
            return self._set.retry(name)

    # For the sensor set: see `Sink`.

    @property
    def stopped(self) -> bool:
        """True once it is closed."""
        return self._stopped

    def load(self, modality: str) -> None:
        """Do nothing: no encoder is needed."""

    def push(self, sample: Sample, sensor: str) -> None:  # noqa: ARG002 - of the active sensor
        """Hand a sample to whoever listens."""
        if self.listener is not None:
            self.listener(sample)

    def is_pending(self, modality: str) -> bool:  # noqa: ARG002 - nothing is worked on
        """Return False: a sample is handed on at once."""
        return False

    def remove(self, modality: str, *, ended: bool, needed: bool) -> None:
        """Do nothing: whoever listens hears no more."""

    def report(self, event: Event) -> None:
        """Note an event of a sensor, in the recording too."""
        if isinstance(event, SensorEvent):
            self.switchboard.note(event.name, event.modality, event.kind, event.reason)
        shown = view_event(event, self._began)
        if not isinstance(shown, LiveSetChange):
            self.states.note(shown)
        self.version += 1
