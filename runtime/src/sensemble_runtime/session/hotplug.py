"""Apply watcher events to a session: attach new devices, retry returning ones."""

from collections.abc import Callable
from contextlib import suppress

from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import DeviceEvent, Disappeared, SearchFailed
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import kind_name

from sensemble_runtime.errors import SessionError
from sensemble_runtime.session.session import Session


class Hotplug:
    """A callback for a `Watcher` that attaches new devices to a session, as the sensors that `make` returns.

    The sensor of a device that disappears stays attached, and is reopened when the device, known by its key,
    is back. A microphone must be declared lost, because a sound server would hand its reader another device.
    """

    def __init__(self, session: Session, make: Callable[[Device], Sensor]) -> None:
        self._session = session
        self._make = make
        # By modality and key, because a key may be a mere number.
        self._names: dict[tuple[str, str], str] = {}

    def __call__(self, event: DeviceEvent) -> None:
        """Attach the device that appeared, or try its sensor again; lose a microphone that disappeared."""
        if isinstance(event, SearchFailed):
            return
        device = event.device
        which = (device.modality, device.key)
        if isinstance(event, Disappeared):
            if which in self._names and kind_of(kind_name(device.modality)).replaced:
                self._session.lose(self._names[which], "was unplugged")
            return
        if which in self._names and self._session.retry(self._names[which]):
            return
        with suppress(SessionError):  # it is closed, and the watcher soon will be
            self._names[which] = self._session.attach(self._make(device))
