"""Which devices come and go: one thread that looks again and again, and tells what is new."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Self
from urllib.parse import urlsplit

from sensemble_sensors.devices.discovery import Device, is_gone, without_user
from sensemble_sensors.errors import SensorsError

INTERVAL = 3.0  # seconds between the end of a look and the next
CLOSE = 5.0  # seconds that closing waits for a look
_PATIENCE = 1.0  # seconds that a connection may take
_PORTS = {"http": 80, "https": 443, "rtsp": 554}

Finder = Callable[[Event], Sequence[Device]]
"""Returns what is there now: `devices.cameras`, `devices.inputs_afresh`, or one made below.

It is given an event that is set when the answer is no longer wanted.
"""


@dataclass(frozen=True, slots=True)
class Appeared:
    """A device is there that was not, or was not when the watch began."""

    device: Device


@dataclass(frozen=True, slots=True)
class Disappeared:
    """A device is no longer there."""

    device: Device


@dataclass(frozen=True, slots=True)
class Blind:
    """A finder cannot look, for `reason`, one line; what it saw before counts as still there."""

    reason: str


News = Appeared | Disappeared | Blind


def network_camera(address: str) -> Finder:
    """Return a finder of the camera at `address`, an URL: it is there while its port takes connections."""
    return lambda _: [Device("video", address, without_user(address), address)] if _answers(address) else []


def caption_source(source: str) -> Finder:
    """Return a finder of captions: a file, pipe or socket that exists, or tcp://HOST:PORT that answers."""

    def find(_: Event) -> Sequence[Device]:
        there = _answers(source) if "://" in source else Path(source).exists()
        return [Device("text", source, source, source)] if there else []

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
    """Looks for devices from one thread, from `start` or the start of a `with` until `close`.

    A device that comes back between two looks was never away. A finder that takes its time delays the next
    look, and nobody else.

    Args:
        finders: where to look.
        tell: called from the watcher's thread; it may take its time. What it raises ends the watch, and
            `close` raises it.
        interval: seconds between the end of a look and the next.
    """

    def __init__(
        self, finders: Sequence[Finder], tell: Callable[[News], None], interval: float = INTERVAL
    ) -> None:
        self._finders = finders
        self._tell = tell
        self._interval = interval
        self._seen: list[dict[str, Device]] = [{} for _ in finders]
        self._blind: list[str] = [""] * len(finders)
        self._stop = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="sensemble watcher", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to look, once."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking, and wait until the look that is under way has noticed, if it does soon."""
        self._stop.set()
        self._thread.join(CLOSE)  # to look up a name can take long, and nothing ends that
        error, self._error = self._error, None
        if error is not None:
            raise error

    def look(self) -> list[News]:
        """Look once and return what is new since the last look; what `start` does again and again."""
        news: list[News] = []
        for i, find in enumerate(self._finders):
            try:
                now = {device.key: device for device in find(self._stop)}
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is told and ends no thread
                known = isinstance(error, SensorsError | OSError | ValueError)
                reason = str(error) if known else f"{type(error).__name__}: {error}"
                if self._blind[i] != reason:
                    news.append(Blind(" ".join(reason.split())))
                self._blind[i] = reason
                continue
            before, self._blind[i] = self._seen[i], ""
            gone = [key for key in before if key not in now and is_gone(before[key])]
            news += [Disappeared(before[key]) for key in gone]
            news += [Appeared(now[key]) for key in now if key not in before]
            self._seen[i] = {key: device for key, device in (before | now).items() if key not in gone}
        return news

    def _run(self) -> None:
        while True:
            news = self.look()
            if self._stop.is_set():
                return
            try:
                for item in news:
                    self._tell(item)
            except BaseException as error:  # noqa: BLE001 - `close` raises whatever it is
                self._error = error
                return
            if self._stop.wait(self._interval):
                return
