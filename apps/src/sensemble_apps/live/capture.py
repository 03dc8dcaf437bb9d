"""Sensors, one of each kind, that are read into a recording."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Condition
from time import monotonic

from sensemble_runtime.events import Kind, explain
from sensemble_runtime.session.sensor_thread import Reader, join
from sensemble_sensors.devices.watcher import Appeared, Blind, News
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec, kind_name
from sensemble_sensors.thresholds import Thresholds

from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.live.capture_summary import Taken
from sensemble_apps.live.view_events import change
from sensemble_apps.live.views import change_line

_CHECK = 0.2  # seconds between two looks at the disk
_FIRST = 30.0  # seconds after which the time of a recording runs without a sample, too


class Take:
    """Sensors, each read by a thread of its own, whose samples and fates go into a recording.

    While one is unwell by `health`, what it gives is left out; where it drifts from the other, it is kept,
    and marked.
    """

    def __init__(
        self,
        recording: Recording,
        found: Sequence[Sensor],
        specs: Mapping[str, InputSpec],
        health: Thresholds | None,
        taken: Taken,
    ) -> None:
        self._recording = recording
        self._taken = taken
        self._rate = specs["audio"].rate if "audio" in specs else 0.0
        self._began = monotonic()
        self._changed = Condition()
        self._any = False  # whether one could be opened
        for sensor in found:
            if sensor.modality not in specs:
                raise InputError(f"{sensor.name}: the bundle has no {sensor.modality}; leave it out")
            taken.expect(sensor)
        self._readers = [
            Reader(
                s.name,
                s,
                specs[s.modality],
                None if health is None else replace(health, doubted=health.doubted | {"drift"}),
                (),
                opened=self._opened,
                gave=self._gave,
                felt=self._tell,
                beside=self._beside,
                failed=self._failed,
            )
            for s in found
        ]

    def run(self, seconds: float | None, show: Callable[[str], None]) -> None:
        """Read until all sensors have ended, or for `seconds` from the first sample; `show` how it goes.

        Raises:
            SensorUnavailableError: none of the sensors can be opened.
            RecordingError: the disk is full, or the folder cannot be written.
        """
        for reader in self._readers:
            reader.thread.start()
        length = math.inf if seconds is None else seconds
        latest = monotonic() + _FIRST
        try:
            # A camera takes seconds to open, which are not recorded.
            while (rest := min(self._taken.began, latest) + length - monotonic()) > 0:
                if all(reader.stopped.is_set() for reader in self._readers):
                    break
                self._recording.check()
                with self._changed:
                    self._changed.wait(min(_CHECK, rest))
                self._check_first()
                show(self._taken.status(self._recording.segments))
        finally:
            for reader in self._readers:
                reader.stop()
            if left := join(self._readers):
                names = ", ".join(reader.name for reader in left)
                remark(f"sensemble: {names}: did not stop in time; its thread is left behind")

    def found(self, news: News) -> None:
        """Try a sensor at once when a watcher sees that it is back."""
        if isinstance(news, Blind):
            remark(f"sensemble: {news.reason}")
        elif isinstance(news, Appeared):
            for reader in self._readers:
                if reader.modality == news.device.modality:
                    reader.retry()

    def _check_first(self) -> None:
        told = [reader.told for reader in self._readers]
        if not self._any and all(kind == "unavailable" for kind, _ in told):
            raise SensorUnavailableError("; ".join(reason for _, reason in told))

    def _opened(self, reader: Reader) -> None:
        self._any = True
        self._tell(reader, "attached", "")

    def _gave(self, _: Reader, sample: Sample) -> None:
        self._taken.add(sample, self._rate)
        self._recording.put(sample)

    def _beside(self, reader: Reader) -> float | None:
        partner = kind_of(reader.modality).partner
        return next((r.lag for r in self._readers if kind_name(r.modality) == partner), None)

    def _failed(self, reader: Reader, error: BaseException) -> None:
        kind, reason = explain(error)
        if kind in ("ended", "failed"):
            reader.stop()
        self._tell(reader, kind, reason)

    def _tell(self, reader: Reader, kind: Kind, reason: str) -> None:
        with self._changed:
            if (news := reader.news(kind, reason)) is not None:
                self._recording.event(news.name, news.modality, news.kind, news.reason)
                remark(change_line(change(news, self._began)))
                self._taken.tell(news)
            self._changed.notify_all()
