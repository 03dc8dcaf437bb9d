"""Apply watcher events to a session: attach new devices, retry returning ones."""

from collections.abc import Callable
from contextlib import suppress

from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import DeviceEvent, Disappeared, SearchFailed
from sensemble_sensors.kinds.kind import Kind
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sensor

from sensemble_runtime.errors import SessionError
from sensemble_runtime.session.session import Session


class Hotplug:
    """Attaches the devices of a `Watcher` to a session, as the sensors that `make` returns.

    The sensor of a device that disappears stays attached, and is reopened when the device, known by its key,
    is back. A microphone must be declared lost: a sound server would give its reader another device.
    """

    def __init__(self, session: Session, make: Callable[[Device], Sensor]) -> None:
        self._session = session
        self._make = make
        # The sensor's name and kind by modality and key, because two modalities may use the same key.
        self._sensors: dict[tuple[str, str], tuple[str, Kind]] = {}

    def __call__(self, event: DeviceEvent) -> None:
        """Attach the device that appeared, or try its sensor again; lose a microphone that disappeared."""
        if isinstance(event, SearchFailed):
            return
        device = event.device
        which = (device.modality, device.key)
        name, kind = self._sensors.get(which, ("", None))
        if isinstance(event, Disappeared):
            if kind is not None and kind.replaced:
                self._session.lose(name, "was unplugged")
            return
        if kind is not None and self._session.retry(name):
            return
        with suppress(SessionError):  # it is closed, and the watcher soon will be
            sensor = self._make(device)
            name = self._session.attach(sensor)
            self._sensors[which] = name, kind_of(self._session.bundle.specs[sensor.modality])
