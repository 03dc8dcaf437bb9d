"""Watch devices come and go: a thread lists them repeatedly and reports changes."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Self
from urllib.parse import urlsplit

from sensemble_sensors.clock import REAL, Clock, Patience
from sensemble_sensors.devices.discovery import Device, is_gone, without_credentials
from sensemble_sensors.errors import SensorsError

INTERVAL = 3.0  # seconds between the end of a search and the next
CLOSE = 5.0  # seconds that closing waits for a search
_PATIENCE = 1.0  # seconds that a connection may take
_PORTS = {"http": 80, "https": 443, "rtsp": 554}

# Returns the present devices; the event is set when the answer is no longer wanted.
Finder = Callable[[Event], Sequence[Device]]


@dataclass(frozen=True, slots=True)
class Appeared:
    """A device is new, or was there when the watch began."""

    device: Device


@dataclass(frozen=True, slots=True)
class Disappeared:
    """A device is no longer there."""

    device: Device


@dataclass(frozen=True, slots=True)
class SearchFailed:
    """A finder failed for `reason`, one line; the devices that it found before count as still there."""

    reason: str


DeviceEvent = Appeared | Disappeared | SearchFailed


def named_source(source: str, modality: str) -> Finder:
    """Return a finder of one source, there while its file exists or its address takes connections."""
    device = Device(modality, source, without_credentials(source), source)

    def find(_: Event) -> Sequence[Device]:
        there = _answers(source) if "://" in source else Path(source).exists()
        return [device] if there else []

    return find


def _answers(address: str) -> bool:
    parts = urlsplit(address)
    try:
        port = parts.port or _PORTS[parts.scheme]
        with socket.create_connection((parts.hostname or "", port), _PATIENCE):
            return True
    except (OSError, KeyError, ValueError):
        return False


class Watcher:
    """Looks for devices from its own thread, from `start` until `close`; a context manager.

    A device that comes back between two searches was never away. A slow finder delays only the next search.

    Args:
        on_event: called from the watcher's thread; it may be slow. Its exception ends the watch, and `close`
            raises it.
        interval: seconds between the end of a search and the next.
    """

    def __init__(
        self,
        finders: Sequence[Finder],
        on_event: Callable[[DeviceEvent], None],
        interval: float = INTERVAL,
        clock: Clock = REAL,
    ) -> None:
        self._finders = finders
        self._on_event = on_event
        self._interval, self._clock = interval, clock
        self._seen: list[dict[str, Device]] = [{} for _ in finders]
        self._failures: list[str] = [""] * len(finders)
        self._stop = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="sensemble watcher", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the watch; call it once."""
        self._thread.start()

    def close(self) -> None:
        """Stop the watch, and wait up to 5 s for the search in progress."""
        self._stop.set()
        Patience(self._clock, CLOSE).join(self._thread)  # a name look-up can take longer, and cannot be ended
        error, self._error = self._error, None
        if error is not None:
            raise error

    def search(self) -> list[DeviceEvent]:
        """Search once and return the changes since the last search."""
        events: list[DeviceEvent] = []
        for i, find in enumerate(self._finders):
            try:
                now = {device.key: device for device in find(self._stop)}
            except BaseException as error:  # noqa: BLE001 - a failure is reported and ends no thread
                known = isinstance(error, SensorsError | OSError | ValueError)
                reason = str(error) if known else f"{type(error).__name__}: {error}"
                if self._failures[i] != reason:
                    events.append(SearchFailed(" ".join(reason.split())))
                self._failures[i] = reason
                continue
            before, self._failures[i] = self._seen[i], ""
            gone = [key for key in before if key not in now and is_gone(before[key])]
            events += [Disappeared(before[key]) for key in gone]
            events += [Appeared(now[key]) for key in now if key not in before]
            self._seen[i] = {key: device for key, device in (before | now).items() if key not in gone}
        return events

    def _run(self) -> None:
        while True:
            events = self.search()
            if self._stop.is_set():
                return
            try:
                for event in events:
                    self._on_event(event)
            except BaseException as error:  # noqa: BLE001 - `close` raises it
                self._error = error
                return
            if self._clock.wait(self._stop, self._interval):
                return
