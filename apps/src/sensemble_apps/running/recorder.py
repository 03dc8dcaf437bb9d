"""Record the samples and events of a session or a capture."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from sensemble_runtime.background_queue import BackgroundQueue
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.sensor_host import SensorHost
from sensemble_sensors.errors import RecordingError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.recording.header import form_of
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec, declared
from sensemble_sensors.supervision.events import STATES, Event

from sensemble_apps.console.output import remark

_LAST = 5.0  # seconds to write the samples that wait


class Recorder:
    """Records the samples of the active sensors, one of each modality, and all events. Safe from any thread.

    `failed` is called from another thread with the error that ends a recording by itself; `clock` is its
    host's.
    """

    def __init__(
        self,
        host: SensorHost,
        specs: Mapping[str, InputSpec],
        failed: Callable[[RecordingError], None] = lambda _: None,
    ) -> None:
        self._host, self._specs, self._failed = host, specs, failed
        self._lock = Lock()
        self.clock = host.clock
        self._recording: Recording | None = None
        self._queues: list[BackgroundQueue[Any]] = []

    @property
    def segments(self) -> int | None:
        """The number of segments of the recording that are on the disk; None while nothing is recorded."""
        recording = self._recording
        return None if recording is None or recording.error is not None else recording.segments

    @property
    def failure(self) -> str:
        """The reason why the recording ended by itself; empty once it is stopped or begun again."""
        recording = self._recording
        return "" if recording is None or recording.error is None else str(recording.error)

    def start(
        self,
        folder: Path,
        *,
        length: float = math.inf,
        segment: float = 1.0,
        split: str = "pretrain",
        labels: Sequence[str] = (),
        background: bool = False,
    ) -> Recording:
        """Record until `stop`, or for `length` seconds; a recording that is on goes on, and is returned.

        Raises RecordingError if the folder cannot be written, or holds something else.
        """
        with self._lock:
            if self._recording is None or self._recording.error is not None:
                self._unsubscribe()
                self._recording = recording = Recording(
                    folder,
                    form_of(self._specs),
                    declared=declared(self._specs.values()),
                    seconds=segment,
                    length=length,
                    split=split,
                    labels=labels,
                    background=background,
                    failed=self._failed,
                    clock=self.clock,
                )
                last: dict[str, tuple[str, float]] = {}  # of each modality: the sensor and its last time

                def put(name: str, sample: Sample) -> None:
                    before, time = last.get(sample.modality, (name, -math.inf))
                    if name != before:
                        spec = self._specs[sample.modality]
                        lasts = len(sample.data) / spec.rate if kind_of(spec).continuous else 0.0
                        if sample.time - lasts < time:  # the sensor before has recorded part of its time
                            return
                        sample = replace(sample, cut=True)
                    last[sample.modality] = name, sample.time
                    recording.put(sample)

                def note(event: Prediction | Event) -> None:
                    if isinstance(event, Event) and event.kind in STATES and not event.label:
                        recording.event(event.sensor, event.modality, event.kind, event.text)

                self._queues = [self._host.listen(put), self._host.subscribe(note)]
            return self._recording

    def stop(self) -> None:
        """End the recording, if there is one, once its last segment is on the disk; else RecordingError."""
        with self._lock:
            recording, self._recording = self._recording, None
            dropped = self._unsubscribe()
        if dropped:
            remark(f"sensemble: the recording lacks {dropped} samples or events that came too fast")
        if recording is not None:
            recording.close()

    def _unsubscribe(self) -> int:
        """Wait until the recording has all samples; return how many it missed."""
        queues, self._queues = self._queues, []
        for queue in queues:
            self._host.unsubscribe(queue)
        for queue in queues:
            queue.join(_LAST)
        return sum(queue.dropped for queue in queues)
