"""Record sensors, one of each modality, and sum up what they give."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Condition
from time import monotonic
from typing import Self

from sensemble_runtime.events import Event, SensorEvent
from sensemble_runtime.session.sensor_set import SensorSet
from sensemble_runtime.session.sensor_thread import CLOSE, join
from sensemble_sensors.devices.watcher import Appeared, DeviceEvent, SearchFailed
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.kinds import registry as kinds
from sensemble_sensors.recording.writer import LAG, Recording
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from sensemble_apps.console.kinds import Meter, kind_of
from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import sensor_title
from sensemble_apps.errors import InputError
from sensemble_apps.running.view_events import Change, view_event
from sensemble_apps.running.views import change_line

_CHECK = 0.2  # seconds between two checks of the disk
_FIRST = 30.0  # seconds after which the time of a recording runs without a sample, too


class CaptureSummary:
    """Measures the samples of a recording's sensors, one of each modality.

    Attributes:
        began: when the first sample came, on the clock of `time.monotonic`; infinite before that.
    """

    def __init__(self) -> None:
        self.began = math.inf
        self._names: dict[str, str] = {}  # of the sensors, by modality
        self._specs: dict[str, InputSpec] = {}
        self._meters: dict[str, Meter] = {}
        self._reasons: dict[str, str] = {}  # of the last event of each, by modality

    def expect(self, sensor: Sensor, spec: InputSpec) -> None:
        """Expect samples of `sensor`, in the form of `spec`."""
        self._specs[sensor.modality] = spec
        self._names[sensor.modality] = sensor.name
        self._meters[sensor.modality] = Meter()

    def add(self, sample: Sample) -> None:
        """Measure a sample of an expected sensor."""
        self.began = min(self.began, monotonic())
        self._meters[sample.modality].add(sample, self._specs[sample.modality].rate)

    def note(self, event: SensorEvent) -> None:
        """Note an event of a sensor, which interrupts its samples."""
        self._reasons[event.modality] = event.reason
        self._meters[event.modality].interrupt()

    @property
    def awaited(self) -> bool:
        """True while a sensor other than captions gave no sample."""
        return any(
            not (meter.count or kinds.kind_of(self._specs[m]).tokenized) for m, meter in self._meters.items()
        )

    @property
    def amounts(self) -> str:
        """The amount of each modality: `3.9 s of audio, 1 caption, 4.0 s of video`."""
        return ", ".join(
            _amount(self._specs[m], meter) for m, meter in sorted(self._meters.items()) if meter.count
        )

    @property
    def silent(self) -> list[str]:
        """A line for each sensor that gave nothing: `camera 0 gave nothing: it cannot be opened`."""
        return [
            f"{sensor_title(modality, name)} gave nothing: {self._why(modality)}"
            for modality, name in self._names.items()
            if not self._meters[modality].count
        ]

    def status(self, segments: int) -> str:
        """Return the line that a terminal shows while recording."""
        if self.began == math.inf:
            return "waiting for a first sample; Ctrl-C ends it"
        each = (
            f"{sensor_title(m)} {kind_of(self._specs[m]).reading(meter) if meter.count else 'nothing yet'}"
            for m, meter in self._meters.items()
        )
        return "  ".join((f"{monotonic() - self.began:8.2f} s", f"{segments} segments", *each))

    def _why(self, modality: str) -> str:
        if modality not in self._reasons:
            return "it was not open yet; give it longer"
        reason = self._reasons[modality].removeprefix(f"{self._names[modality]}: ")
        return reason or "it was opened, and no sample came; give it longer"


def _amount(spec: InputSpec, meter: Meter) -> str:
    if kinds.kind_of(spec).tokenized:
        return f"{meter.count} caption{'s' if meter.count > 1 else ''}"
    return f"{meter.seconds:.1f} s of {spec.modality}"


class Capture:
    """Open sensors, and the recording of their samples and events; the `Sink` of its sensor set.

    The sensors are open while its block runs. Samples outside a recording are only measured. Samples of a
    sensor that is unhealthy by `health` are left out; those of a drifting one are kept, and marked.
    """

    stopped = False

    def __init__(
        self,
        sensors: Sequence[Sensor],
        specs: Mapping[str, InputSpec],
        health: Thresholds | None,
        summary: CaptureSummary,
    ) -> None:
        for sensor in sensors:
            if sensor.modality not in specs:
                raise InputError(f"{sensor.name}: the bundle has no {sensor.modality}; leave it out")
            summary.expect(sensor, specs[sensor.modality])
        self.changed = Condition()
        self.specs = specs
        self._sensors = sensors
        self._summary = summary
        self._began = monotonic()
        self._recording: Recording | None = None
        self._span = (-math.inf, math.inf)  # of the times of recorded samples
        self._opened = False  # whether a sensor could be opened
        marked = None if health is None else replace(health, doubted=health.doubted | {"drift"})
        self._set = SensorSet(self, marked)

    def __enter__(self) -> Self:
        with self.changed:
            for sensor in self._sensors:
                self._set.attach(sensor)
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            threads = self._set.stop()
        if left := join(threads, monotonic() + CLOSE):
            names = ", ".join(thread.name for thread in left)
            remark(f"sensemble: {names}: did not stop in time; its thread is left behind")

    @property
    def over(self) -> bool:
        """True when all sensors have ended."""
        with self.changed:
            return self._set.over

    def record(self, recording: Recording, seconds: float | None, show: Callable[[str], None]) -> None:
        """Record until all sensors have ended, or for `seconds` from the first sample; show a status line.

        Raises:
            SensorUnavailableError: none of the sensors can be opened.
            RecordingError: the disk is full, or the folder cannot be written.
        """
        assert self._recording is recording  # noqa: S101 - earlier samples would be lost
        length = math.inf if seconds is None else seconds
        latest = monotonic() + _FIRST
        # A camera takes seconds to open, which are not recorded.
        while (rest := min(self._summary.began, latest) + length - monotonic()) > 0 and not self.over:
            recording.check()
            self._wait(rest)
            show(self._summary.status(recording.segments))

    def take(self, recording: Recording, seconds: float, show: Callable[[float], None]) -> None:
        """Record the first `seconds` of a new recording; show the seconds that are left."""
        end = recording.began + seconds
        with self.into(recording, recording.began, end):
            while (rest := end + LAG - monotonic()) > 0 and not self.over:
                recording.check()
                self._wait(rest)
                show(max(0.0, rest - LAG))

    def wait_for_first(self, show: Callable[[str], None]) -> None:
        """Wait up to 30 s for a first sample of each sensor but captions."""
        latest = monotonic() + _FIRST
        while (rest := latest - monotonic()) > 0 and not self.over and self._summary.awaited:
            self._wait(rest)
            show(self._summary.status(0))

    @contextmanager
    def into(self, recording: Recording, begin: float = -math.inf, end: float = math.inf) -> Iterator[None]:
        """Record events and the samples from `begin` to `end` while the block runs."""
        with self.changed:
            self._recording, self._span = recording, (begin, end)
        try:
            yield
        finally:
            with self.changed:
                self._recording = None

    def _wait(self, longest: float) -> None:
        with self.changed:
            self.changed.wait(min(_CHECK, longest))
            self._check_opened()

    def retry(self, event: DeviceEvent) -> None:
        """Retry a sensor whose device a watcher found again."""
        if isinstance(event, SearchFailed):
            remark(f"sensemble: {event.reason}")
        elif isinstance(event, Appeared):
            with self.changed:
                for sensor in self._sensors:
                    if sensor.modality == event.device.modality:
                        self._set.retry(sensor.name)

    def _check_opened(self) -> None:
        reasons = self._set.reasons
        if not self._opened and reasons and all(kind == "unavailable" for kind, _ in reasons):
            raise SensorUnavailableError("; ".join(reason for _, reason in reasons))

    # For the sensor set: see `Sink`.

    def load(self, modality: str) -> None:
        """Do nothing: a recording needs no encoder."""

    def push(self, sample: Sample, sensor: str) -> None:  # noqa: ARG002 - a recording has one sensor of each
        """Record a sample."""
        self._summary.add(sample)
        if self._recording is not None and self._span[0] <= sample.time < self._span[1]:
            self._recording.put(sample)

    def is_pending(self, modality: str) -> bool:  # noqa: ARG002 - a recording takes all at once
        """Return False: a sample is recorded at once."""
        return False

    def remove(self, modality: str, *, ended: bool, needed: bool) -> None:
        """Do nothing: what is recorded stays."""

    def report(self, event: Event) -> None:
        """Record an event of a sensor, and show it."""
        if not isinstance(event, SensorEvent):
            return
        self._opened |= event.kind == "attached"
        if self._recording is not None:
            self._recording.event(event.name, event.modality, event.kind, event.reason)
        self._summary.note(event)
        shown = view_event(event, self._began)
        if isinstance(shown, Change):
            remark(change_line(shown))
