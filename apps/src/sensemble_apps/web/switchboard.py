"""The sensors of a page: plug them in and out, look at their samples, and record them."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Protocol

from sensemble_runtime.errors import SessionError
from sensemble_sensors.conditioned import Conditioned
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.errors import RecordingError, printable
from sensemble_sensors.kinds.conditions.condition import SEVERITIES, Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.recording.header import form_of
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Killable, Sample, Sensor
from sensemble_sensors.spec import InputSpec, declared

from sensemble_apps.errors import InputError

SHOWN = 80  # characters of a client's text that an error repeats at most
_KEPT = 5.0  # seconds of samples kept for drawing
_SILENT = 1.0  # seconds without a sample after which another sensor of the modality is recorded


class Tap(Conditioned):
    """A sensor whose newest samples can be looked at; the session reads it like any other.

    Attributes:
        title: by which a user renamed it; empty if none did.
        newest: its samples of the last seconds, the last one last; none while it is closed.
        count: the number of samples so far.
        condition: by which its samples are degraded; None for none.
    """

    def __init__(self, sensor: Sensor, name: str, given: Callable[["Tap", Sample], None]) -> None:
        super().__init__(sensor, ())
        self.name = name
        self.title = ""
        self.newest: deque[Sample] = deque()
        self.count = 0
        self.condition: Applied | None = None
        self._given = given

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample, and keep it."""
        sample = super().read(timeout)
        if sample is not None:
            self.newest.append(sample)
            while self.newest and self.newest[0].time < sample.time - _KEPT:
                self.newest.popleft()
            self.count += 1
            self._given(self, sample)
        return sample

    def close(self) -> None:
        """Close the sensor, and forget its samples."""
        self.newest.clear()
        super().close()

    def degrade(self, condition: Applied | None) -> None:
        """Degrade its samples by a condition of its kind from now on; None: give them as they are."""
        self.condition = condition
        self.change(() if condition is None else (condition,))

    def kill(self) -> None:
        """Kill the sensor's process, if it has one."""
        if isinstance(self._sensor, Killable):
            self._sensor.kill()


class Reader(Protocol):
    """Reads the sensors that are attached to it, as a session does; see there."""

    def attach(self, sensor: Sensor) -> str:
        """Start reading a sensor, and return the name by which to detach it."""

    def detach(self, name: str) -> bool:
        """Stop reading a sensor."""

    def retry(self, name: str) -> bool:
        """Try a lost sensor again now; return whether there is one."""


class Switchboard:
    """Attaches sensors to a session, remembers unplugged ones, and records. Safe from any thread.

    Attributes:
        failed: called from another thread with what ends a recording by itself.
    """

    def __init__(self, session: Reader, specs: Mapping[str, InputSpec]) -> None:
        self._session = session
        self.specs = specs
        self.failed: Callable[[RecordingError], None] = lambda _: None
        self._lock = Lock()
        self._taps: dict[str, Tap] = {}
        self._recording: Recording | None = None
        self._until = -math.inf  # the time before which samples are recorded
        self._recorded: dict[str, tuple[Tap, float]] = {}  # by modality, with the time of its last sample

    @property
    def taps(self) -> list[Tap]:
        """The sensors, plugged in or not, in the order in which they came."""
        with self._lock:
            return list(self._taps.values())

    def add(self, sensor: Sensor) -> str:
        """Attach a new sensor; return its name on the page.

        Raises:
            SessionError: the session is closed, or takes no such modality.
        """
        tap = self._tap(sensor)
        try:
            return self._session.attach(tap)
        except SessionError:
            self.remove(tap.name)
            raise

    def maker(self, make: Callable[[Device], Sensor]) -> Callable[[Device], Sensor]:
        """Wrap `make`, for a `Hotplug`, so that new sensors appear on the page."""
        return lambda device: self._tap(make(device))

    def unplug(self, name: str) -> None:
        """Detach a sensor, and keep it for `plug`."""
        self._find(name)
        self._session.detach(name)

    def plug(self, name: str) -> None:
        """Attach an unplugged sensor again; an attached one stays so."""
        tap = self._find(name)
        if not self._session.retry(name):
            self._session.attach(tap)

    def rename(self, name: str, title: str) -> None:
        """Show a sensor by another title from now on; an empty one: by its name."""
        self._find(name).title = printable(title)[:SHOWN]

    def degrade(self, name: str, condition: str | None, severity: int) -> None:
        """Degrade a sensor's samples by a condition of its kind; None: give them as they are."""
        tap = self._find(name)
        known = {one.name: one for one in kind_of(self.specs[tap.modality]).conditions}
        if condition is not None and condition not in known:
            raise InputError(f"{condition}: no such condition of {name}; there are {', '.join(known)}")
        if severity not in SEVERITIES:
            raise InputError(
                f"severity {severity}: give {SEVERITIES[0]} (slight) to {SEVERITIES[-1]} (severe)"
            )
        tap.degrade(None if condition is None else Applied(tap.modality, known[condition], severity))

    def remove(self, name: str) -> None:
        """Detach and forget a sensor, if it is there."""
        self._session.detach(name)
        with self._lock:
            self._taps.pop(name, None)

    # A recording.

    @property
    def segments(self) -> int | None:
        """The number of segments of the recording that are on the disk; None while nothing is recorded."""
        recording = self._recording
        return None if recording is None or recording.error is not None else recording.segments

    @property
    def failure(self) -> str:
        """The reason for which the recording ended by itself; empty once it is stopped or begun again."""
        recording = self._recording
        return "" if recording is None or recording.error is None else str(recording.error)

    def record(
        self,
        folder: Path,
        *,
        seconds: float = math.inf,
        split: str = "pretrain",
        labels: Sequence[str] = (),
        background: bool = False,
    ) -> None:
        """Record one sensor of each modality until `stop_recording`; samples after `seconds` are left out.

        Raises:
            RecordingError: the folder cannot be written, or holds something else.
        """
        with self._lock:
            if self._recording is None or self._recording.error is not None:
                self._recorded.clear()
                self._recording = recording = Recording(
                    folder,
                    form_of(self.specs),
                    declared=declared(self.specs.values()),
                    split=split,
                    labels=labels,
                    background=background,
                    failed=self.failed,
                )
                self._until = recording.began + seconds

    def stop_recording(self) -> None:
        """End the recording, if there is one, when its last segment is on the disk.

        Raises:
            RecordingError: the disk is full or cannot be written.
        """
        with self._lock:
            recording, self._recording = self._recording, None
            self._recorded.clear()
        if recording is not None:
            recording.close()

    def note(self, name: str, modality: str, kind: str, reason: str) -> None:
        """Add an event of a sensor to the recording, if there is one."""
        recording = self._recording
        if recording is not None:
            recording.event(name, modality, kind, reason)

    def _record_sample(self, tap: Tap, sample: Sample) -> None:
        """Record a sample, unless another sensor of its modality is recorded."""
        recording = self._recording
        if recording is None or sample.time >= self._until:
            return
        now = monotonic()
        with self._lock:
            before, last = self._recorded.get(tap.modality, (tap, now))
            if before is not tap and now - last < _SILENT:
                return
            self._recorded[tap.modality] = tap, now
        recording.put(sample if before is tap else replace(sample, cut=True))

    def _tap(self, sensor: Sensor) -> Tap:
        """Return a tap of a new sensor, in place of an unplugged one of its name."""
        if sensor.name in self._taps and not self._session.retry(sensor.name):
            self.remove(sensor.name)
        with self._lock:
            name = _free(sensor.name, self._taps)
            tap = self._taps[name] = Tap(sensor, name, self._record_sample)
            return tap

    def _find(self, name: str) -> Tap:
        with self._lock:
            if name not in self._taps:
                raise InputError(
                    f"{name:.{SHOWN}}: no such sensor; there are {', '.join(self._taps) or 'none'}"
                )
            return self._taps[name]


def _free(name: str, taken: Iterable[str]) -> str:
    names = (name if n == 1 else f"{name} ({n})" for n in count(1))
    return next(free for free in names if free not in taken)
