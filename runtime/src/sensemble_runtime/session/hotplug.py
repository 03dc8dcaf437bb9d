"""What a watcher tells, done to a session: what is new is attached, what is back is tried at once."""

from collections.abc import Callable
from contextlib import suppress

from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import Blind, Disappeared, News
from sensemble_sensors.sensor import Sensor

from sensemble_runtime.errors import SessionError
from sensemble_runtime.session.session import Session


class Hotplug:
    """Give it to a `Watcher` as what it tells.

    A device that disappears stays attached: its sensor is lost, and is opened again when the device, known by
    its key, is back. A microphone is told to be lost: a sound server would let it hear another one instead. A
    new device of a modality feeds it from then on; the ones before stand by.

    Args:
        session: to attach to.
        make: makes the sensor of a device that is new.
    """

    def __init__(self, session: Session, make: Callable[[Device], Sensor]) -> None:
        self._session = session
        self._make = make
        self._names: dict[tuple[str, str], str] = {}  # by modality and key, for a key may be a number

    def __call__(self, news: News) -> None:
        """Attach the device that appeared, or try its sensor again; lose a microphone that disappeared."""
        if isinstance(news, Blind):
            return
        device = news.device
        which = (device.modality, device.key)
        if isinstance(news, Disappeared):
            if which in self._names and device.modality == "audio":
                self._session.lose(self._names[which], "was unplugged")
            return
        if which in self._names and self._session.retry(self._names[which]):
            return
        with suppress(SessionError):  # it is closed: the watcher will be, too
            self._names[which] = self._session.attach(self._make(device))
