"""The sensors of a page: plug them in and out, and show their states and newest samples."""

import math
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from sensemble_runtime.engine.view import View
from sensemble_runtime.errors import SessionError
from sensemble_runtime.session.sensor_host import SensorHost
from sensemble_sensors.degraded import Degraded
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.errors import printable
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Killable, Sample, Sensor, free_name
from sensemble_sensors.spec import InputSpec, devices
from sensemble_sensors.supervision.events import FAULTS
from sensemble_sensors.supervision.sensor_view import SensorView

from sensemble_apps.console.kinds import display_of, pcm
from sensemble_apps.errors import InputError
from sensemble_apps.running.view_events import event_words, in_words
from sensemble_apps.web.viewers import Viewers

SHOWN = 80  # characters of a client's text that an error repeats at most
_KEPT = 5.0  # seconds of samples kept for drawing

Until = Callable[[str], float]
"""Returns the time of the last sample of a modality that is shown."""


class PageSensor(Degraded):
    """A sensor that keeps its newest samples for drawing; the session reads it like any other.

    Attributes:
        title: the name that a user gave it; empty if none did.
        newest: its samples of the last seconds, the last one last; none while it is closed.
        count: the number of samples so far.
        condition: the degradation of its samples; None for none.
    """

    def __init__(self, sensor: Sensor, name: str, changed: Callable[[], None]) -> None:
        super().__init__(sensor, ())
        self.name = name
        self.title = ""
        self.newest: deque[Sample] = deque()
        self.count = 0
        self.condition: Applied | None = None
        self._changed = changed
        self._drawn: tuple[int, dict[str, Any]] = (-1, {})  # the number of its last sample, and the preview

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample, and keep it."""
        sample = super().read(timeout)
        if sample is not None:
            self.newest.append(sample)
            while self.newest and self.newest[0].time < sample.time - _KEPT:
                self.newest.popleft()
            self.count += 1
            self._changed()
        return sample

    def close(self) -> None:
        """Close the sensor, and forget its samples."""
        self.newest.clear()
        super().close()

    def preview(self, spec: InputSpec, known: int | None, until: float) -> tuple[int, dict[str, Any]] | None:
        """Return the number and the preview of its samples up to `until`, drawn once for all viewers.

        None if the last of them has the `known` number, or there is none. Sound that is played comes with its
        preview, from where the last one ended, so that a page may be heard; a live microphone is not sent.
        """
        newest = tuple(self.newest)
        shown = [sample for sample in newest if sample.time <= until]
        number = self.count - (len(newest) - len(shown))
        if not shown or number == known:
            return None
        drawn = self._drawn
        if drawn[0] != number:
            preview = display_of(spec).preview(shown, spec.rate)
            if self.played and "wave" in preview:
                new = shown[-min(max(number - drawn[0], 1), len(shown)) :]
                preview["sound"] = b64encode(pcm(new)).decode()
            drawn = self._drawn = number, preview
        return drawn

    def degrade(self, condition: Applied | None) -> None:
        """Degrade its samples by a condition of its kind from now on; None: give them as they are."""
        self.condition = condition
        self.change(() if condition is None else (condition,))

    def kill(self) -> None:
        """Kill the sensor's process, if it has one."""
        if isinstance(self._sensor, Killable):
            self._sensor.kill()


class PageSensors:
    """Attaches sensors to a session or a capture, and remembers unplugged ones. Safe from any thread.

    Attributes:
        specs: the form of their samples, by modality.
        clock: of the host.
        viewers: of the page, who are woken by each sample.
    """

    def __init__(self, host: SensorHost, specs: Mapping[str, InputSpec]) -> None:
        self.specs, self.clock = specs, host.clock
        self.viewers = Viewers()
        self._host = host
        self._lock = Lock()
        self._sensors: dict[str, PageSensor] = {}

    @property
    def all(self) -> list[PageSensor]:
        """The sensors, plugged in or not, in the order of their arrival."""
        with self._lock:
            return list(self._sensors.values())

    def add(self, sensor: Sensor) -> str:
        """Attach a new sensor, and return its name on the page; SessionError if the session refuses it."""
        new = self._new(sensor)
        try:
            return self._host.attach(new)
        except SessionError:
            self.remove(new.name)
            raise

    def maker(self, make: Callable[[Device], Sensor]) -> Callable[[Device], Sensor]:
        """Wrap `make`, for a `Hotplug`, so that new sensors appear on the page."""
        return lambda device: self._new(make(device))

    def unplug(self, name: str) -> None:
        """Detach a sensor, or all of a device, and keep it for `plug`."""
        for sensor in self._carried(name):
            self._host.detach(sensor.name)

    def plug(self, name: str) -> None:
        """Attach an unplugged sensor, or all of a device, again; an attached one stays so."""
        for sensor in self._carried(name):
            if not self._host.retry(sensor.name):
                self._host.attach(sensor)

    def rename(self, name: str, title: str) -> None:
        """Show a sensor by another title; an empty one: by its name."""
        self._find(name).title = printable(title)[:SHOWN]

    def degrade(self, name: str, condition: str | None, severity: int) -> None:
        """Degrade a sensor's samples by a condition of its kind; None: give them as they are."""
        sensor = self._find(name)
        known = {one.name: one for one in kind_of(self.specs[sensor.modality]).conditions}
        if condition is not None and condition not in known:
            raise InputError(f"{condition}: no such condition of {name}; there are {', '.join(known)}")
        sensor.degrade(None if condition is None else Applied(sensor.modality, known[condition], severity))

    def remove(self, name: str) -> None:
        """Detach and forget a sensor, if it is there."""
        self._host.detach(name)
        with self._lock:
            self._sensors.pop(name, None)

    @property
    def plugged(self) -> list[PageSensor]:
        """The sensors that are not unplugged, have not ended and did not fail."""
        gone = {one.name for one in self._host.sensors if not one.attached}
        return [sensor for sensor in self.all if sensor.name not in gone]

    @property
    def active(self) -> list[str]:
        """The names of the sensors whose samples are used."""
        return [one.name for one in self._host.sensors if one.active]

    def describe(self, began: float, view: View | None = None) -> list[dict[str, Any]]:
        """Return the sensors with their states for JSON, of a session as `view` has them.

        Times are in seconds since `began`.
        """
        states = {one.name: one for one in (self._host.sensors if view is None else view.sensors)}
        return [self._describe(sensor, states.get(sensor.name), began, view) for sensor in self.all]

    def previews(self, known: dict[str, int], until: Until = lambda _: math.inf) -> dict[str, dict[str, Any]]:
        """Return the previews of sensors with samples after the `known` numbers, and update these.

        The samples of a modality are shown up to `until`, in seconds of the session's clock.
        """
        previews = {}
        for sensor in self.all:
            modality, name = sensor.modality, sensor.name
            preview = sensor.preview(self.specs[modality], known.get(name), until(modality))
            if preview is not None:
                known[name], previews[name] = preview
        return previews

    def _describe(
        self, sensor: PageSensor, state: SensorView | None, began: float, view: View | None
    ) -> dict[str, Any]:
        note = None if view is None else view.fault(sensor.modality)
        kind, why = ("opening", "") if state is None else (state.state, state.why)
        return {
            "name": sensor.name,
            "modality": sensor.modality,
            "kind": kind,
            "title": sensor.title,
            "state": in_words(kind, why),
            "reason": why,
            "note": "" if note is None else event_words(note),
            "noted": "" if note is None else note.kind,
            "since": round((self._host.clock.now() if state is None else state.since) - began, 3),
            "plugged": state is None or state.attached,
            "fault": kind in FAULTS,
            "active": state is None or not state.standby,
            "condition": None if sensor.condition is None else sensor.condition.to_json(),
        }

    def _new(self, sensor: Sensor) -> PageSensor:
        """Return a new sensor of the page, in place of an unplugged one of its name."""
        if sensor.name in self._sensors and not self._host.retry(sensor.name):
            self.remove(sensor.name)
        with self._lock:
            name = free_name(sensor.name, self._sensors)
            new = self._sensors[name] = PageSensor(sensor, name, self.viewers.wake)
            return new

    def _carried(self, name: str) -> list[PageSensor]:
        """Return the sensor of this name, or those of the device of this name."""
        modalities = devices(self.specs).get(name, ())
        found = [sensor for sensor in self.all if sensor.modality in modalities]
        return found if found and name not in self._sensors else [self._find(name)]

    def _find(self, name: str) -> PageSensor:
        with self._lock:
            if name not in self._sensors:
                raise InputError(
                    f"{name:.{SHOWN}}: no such sensor; there are {', '.join(self._sensors) or 'none'}"
                )
            return self._sensors[name]
