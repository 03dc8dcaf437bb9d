"""Record sensors, one of each modality: a sensor set whose samples and events go into a recording."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Condition
from time import monotonic

from sensemble_runtime.events import Event, SensorEvent
from sensemble_runtime.session.sensor_set import SensorSet
from sensemble_runtime.session.sensor_thread import join
from sensemble_sensors.devices.watcher import Appeared, DeviceEvent, SearchFailed
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.live.capture_summary import CaptureSummary
from sensemble_apps.live.view_events import Change, view_event
from sensemble_apps.live.views import change_line

_CHECK = 0.2  # seconds between two checks of the disk
_FIRST = 30.0  # seconds after which the time of a recording runs even without a sample


class Capture:
    """A recording in progress; it is the `Sink` of its sensor set.

    The samples of a sensor that is unhealthy by `health` are left out; those of one that drifts from the
    other are kept, and marked.

    Args:
        recording: takes the samples and the events.
        sensors: at most one of each modality.
        specs: the form of the samples, by modality.
        health: when a sensor counts as unhealthy; None: never.
        summary: counts what is recorded.

    Raises:
        InputError: `specs` lacks the modality of a sensor.
    """

    stopped = False

    def __init__(
        self,
        recording: Recording,
        sensors: Sequence[Sensor],
        specs: Mapping[str, InputSpec],
        health: Thresholds | None,
        summary: CaptureSummary,
    ) -> None:
        for sensor in sensors:
            if sensor.modality not in specs:
                raise InputError(f"{sensor.name}: the bundle has no {sensor.modality}; leave it out")
            summary.expect(sensor)
        self.changed = Condition()
        self.specs = specs
        self._recording = recording
        self._sensors = sensors
        self._summary = summary
        self._began = monotonic()
        self._opened = False  # whether a sensor could be opened
        marked = None if health is None else replace(health, doubted=health.doubted | {"drift"})
        self._set = SensorSet(self, marked)

    def run(self, seconds: float | None, show: Callable[[str], None]) -> None:
        """Record until all sensors have ended, or for `seconds` from the first sample.

        Args:
            seconds: None: without a limit.
            show: called again and again with a line of status.

        Raises:
            SensorUnavailableError: none of the sensors can be opened.
            RecordingError: the disk is full, or the folder cannot be written.
        """
        with self.changed:
            for sensor in self._sensors:
                self._set.attach(sensor)
        length = math.inf if seconds is None else seconds
        latest = monotonic() + _FIRST
        try:
            # A camera takes seconds to open, which are not recorded.
            while (
                rest := min(self._summary.began, latest) + length - monotonic()
            ) > 0 and not self._set.over:
                self._recording.check()
                with self.changed:
                    self.changed.wait(min(_CHECK, rest))
                    self._check_opened()
                show(self._summary.status(self._recording.segments))
        finally:
            with self.changed:
                threads = self._set.stop()
            if left := join(threads):
                names = ", ".join(thread.name for thread in left)
                remark(f"sensemble: {names}: did not stop in time; its thread is left behind")

    def found(self, event: DeviceEvent) -> None:
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
        self._summary.add(sample, self.specs[sample.modality].rate)
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
        self._recording.event(event.name, event.modality, event.kind, event.reason)
        self._summary.note(event)
        shown = view_event(event, self._began)
        if isinstance(shown, Change):
            remark(change_line(shown))
