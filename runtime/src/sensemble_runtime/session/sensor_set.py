"""The attached sensors: the active one of each modality, and how each comes and goes."""

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Protocol

from sensemble_sensors.errors import SampleError, SensorCodeError, SensorsError, printable
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from sensemble_runtime.errors import SensembleRuntimeError, SessionError
from sensemble_runtime.events import ActiveSensorEvent, Event, SensorEventKind, explain
from sensemble_runtime.session.sensor_thread import ALIKE, SensorThread

_LOG = logging.getLogger(__name__)


class Sink(Protocol):
    """The receiver of a sensor set's samples and events: the state of a session, or a recording.

    `changed` is also the lock of the sensor set, and is notified whenever a sensor changes. It is held in all
    calls but `load`.
    """

    changed: threading.Condition
    specs: Mapping[str, InputSpec]

    @property
    def stopped(self) -> bool:
        """True if no more samples are wanted."""

    def load(self, modality: str) -> None:
        """Prepare for samples of `modality`; may be slow."""

    def push(self, sample: Sample, sensor: str) -> None:
        """Add a sample of the named sensor; raise a `SampleError` if it is not of the spec's form."""

    def is_pending(self, modality: str) -> bool:
        """True if samples of `modality` are not processed yet."""

    def remove(self, modality: str, *, ended: bool, needed: bool) -> None:
        """Note that no active sensor of `modality` is left; `needed`: another one is attached.

        If its source has `ended`, its last embedding stays until it expires; otherwise it leaves now.
        """

    def report(self, event: Event) -> None:
        """Take an event."""


class SensorSet:
    """The sensors of a session or a recording, each read by a `SensorThread`, whose `Owner` this is.

    The properties, `attach`, `detach`, `retry`, `lose` and `stop` need the sink's lock held.
    """

    def __init__(self, sink: Sink, health: Thresholds | None, conditions: Sequence[Applied] = ()) -> None:
        self.over = False  # whether the last sensor has ended by itself
        self._sink = sink
        self._health = health
        self._conditions = conditions
        self._attached: dict[str, SensorThread] = {}  # by name, in the order of attaching
        self._running: list[SensorThread] = []  # may still run
        self._active: dict[str, SensorThread] = {}  # by modality
        self._reported: dict[str, str] = {}  # by modality, the name of the active sensor as it was reported

    @property
    def modalities(self) -> set[str]:
        """The modalities of the attached sensors that work."""
        working = (None, "attached", "recovered", "doubtful")
        return {t.modality for t in self._attached.values() if t.reported[0] in working}

    @property
    def starting(self) -> set[str]:
        """The modalities of open sensors whose first sample is worth waiting for."""
        # No sensor twice: a dead one would delay the others.
        return {t.modality for t in self._silent if t.modality not in self._active and not t.waited_for}

    @property
    def reasons(self) -> list[tuple[SensorEventKind | None, str]]:
        """The kind and the reason of each attached sensor's last event."""
        return [thread.reported for thread in self._attached.values()]

    @property
    def retries(self) -> dict[str, float]:
        """The time at which each lost sensor is tried again; see `Session.retries`."""
        return {name: t.retry_at for name, t in self._attached.items() if t.retry_at is not None}

    def stop_waiting(self, modalities: Collection[str]) -> None:
        """Wait no longer for the first samples of `modalities`."""
        for thread in self._silent:
            thread.waited_for |= thread.modality in modalities

    def attach(self, sensor: Sensor) -> str:
        """Start reading `sensor`; see `Session.attach`."""
        if sensor.modality not in self._sink.specs:
            raise SessionError(
                f"{sensor.name}: the bundle has no encoder for {sensor.modality!r}; "
                f"it has {', '.join(sorted(self._sink.specs))}"
            )
        if any(thread.sensor is sensor for thread in self._attached.values()):
            raise SessionError(f"{sensor.name}: already attached; detach it first")
        title = printable(sensor.name)
        names = (title if n == 1 else f"{title} ({n})" for n in count(1))
        name = next(name for name in names if name not in self._attached)
        self._running = [thread for thread in self._running if thread.thread.is_alive()]
        previous = [thread.thread for thread in self._running if thread.sensor is sensor]
        spec = self._sink.specs[sensor.modality]
        conditions = [a for a in self._conditions if a.modality == sensor.modality]
        thread = SensorThread(name, sensor, spec, self._health, conditions, previous, self)
        thread.thread.start()  # may raise, so it comes first; it waits for the lock
        self.over = False
        self._attached[name] = thread
        self._running.append(thread)
        if (active := self._active.get(thread.modality)) is not None:
            self._report_active(active)  # now that it is one of several
        return name

    def detach(self, name: str) -> bool:
        """Stop reading a sensor; see `Session.detach`."""
        thread = self._attached.pop(name, None)
        if thread is None:
            return False
        thread.stop()
        self._report(thread, "detached", "")
        self._leave(thread)
        self._sink.changed.notify_all()
        return True

    def retry(self, name: str) -> bool:
        """Try a lost sensor again now; see `Session.retry`."""
        thread = self._attached.get(name)
        if thread is not None and thread.reported[0] in ("lost", "unavailable"):
            thread.retry()
        return thread is not None

    def lose(self, name: str, reason: str) -> bool:
        """Treat a sensor as lost; see `Session.lose`."""
        thread = self._attached.get(name)
        if thread is not None:
            thread.lose(reason)
        return thread is not None

    def stop(self) -> list[SensorThread]:
        """Stop reading every sensor; return the threads that may still run."""
        for thread in self._attached.values():
            thread.stop()
        self._sink.changed.notify_all()
        return list(self._running)

    # For the sensor threads: see `Owner`.

    @property
    def stopped(self) -> bool:
        """True if all threads are to end."""
        return self._sink.stopped

    def on_open(self, thread: SensorThread) -> None:
        """Load what the sensor's samples need, and report it as attached."""
        self._load(thread)
        with self._sink.changed:
            if not thread.stopped:
                under = ", ".join(map(str, thread.conditions))
                self._report(thread, "attached", f"under {under}" if under else "")

    def on_sample(self, thread: SensorThread, sample: Sample) -> None:
        """Push a sample of the active sensor; one that gives its first sample may become it."""
        modality = thread.modality
        if sample.modality != modality:
            raise SampleError(f"{modality}: gave a sample of {sample.modality}")
        if modality not in self._active and not thread.stopped:
            self._load(thread)
        with self._sink.changed:
            if not (
                thread.sensor.live or kind_of(self._sink.specs[modality]).steady
            ):  # every caption of a file is answered
                self._await_window(thread)
            if thread.stopped:
                return
            if not thread.sampled:
                thread.sampled, thread.waited_for = True, False
                self._sink.changed.notify_all()
            if self._last_attached(modality) is not thread:
                return
            if self._active.get(modality) is not thread:
                self._active[modality] = thread
                self._report_active(thread)
                sample = replace(sample, cut=True)
            self._sink.push(sample, thread.name)

    def on_health(self, thread: SensorThread, kind: SensorEventKind, reason: str) -> None:
        """Report the sensor's health; an unhealthy sensor is not active."""
        with self._sink.changed:
            if thread.stopped:
                return
            self._report(thread, kind, reason)
            if kind == "unhealthy":
                self._leave(thread)
            self._sink.changed.notify_all()

    def on_error(self, thread: SensorThread, error: BaseException) -> None:
        """Report why the sensor leaves; an ended sensor leaves when its last window is encoded."""
        kind, reason = explain(error)
        if isinstance(error, SensorCodeError) or not isinstance(
            error, SensorsError | SensembleRuntimeError | OSError
        ):
            times = thread.count(error)
            if times == 1:
                _LOG.error("%s: its code raised an error", thread.name, exc_info=error)
            if times == ALIKE:
                kind, reason = "failed", f"{reason}, {times} times in a row; mend the sensor's code"
        with self._sink.changed:
            if kind == "ended":
                self._await_window(thread)
            if kind == "failed" or not thread.stopped:
                self._report(thread, kind, reason)
            self._leave(thread, ended=kind == "ended")
            if kind in ("ended", "failed"):
                thread.stop()
                if self._attached.get(thread.name) is thread:
                    del self._attached[thread.name]
                    self.over = not self._attached
            self._sink.changed.notify_all()

    def lag_of_other(self, modality: str) -> float | None:
        """Return the lag of the active sensor that one of `modality` must not drift from, or None."""
        specs = self._sink.specs
        partner = kind_of(specs[modality]).partner
        # Without the lock, so that no sample waits for it; a copy, because other threads change it.
        active = tuple(self._active.items()) if partner else ()
        return next((t.lag for m, t in active if specs[m].kind == partner), None)

    def _load(self, thread: SensorThread) -> None:
        self._sink.load(thread.modality)
        with self._sink.changed:
            if thread.stopped and not self._has_other(thread):  # detached while it loaded
                self._sink.remove(thread.modality, ended=True, needed=False)

    # With the lock held.

    @property
    def _silent(self) -> set[SensorThread]:
        silent = {t for t in self._attached.values() if t.reported[0] == "attached" and not t.sampled}
        return {t for t in silent if self._sink.specs[t.modality].hop > 0}  # captions come at any time

    def _last_attached(self, modality: str) -> SensorThread | None:
        attached = reversed(self._attached.values())
        return next((t for t in attached if t.modality == modality and t.sampled), None)

    def _await_window(self, thread: SensorThread) -> None:
        """Wait until the sensor's last window is in a prediction, or the thread is to end."""
        self._sink.changed.wait_for(
            lambda: (
                thread.stopped
                or self._active.get(thread.modality) is not thread
                or not self._sink.is_pending(thread.modality)
            )
        )

    def _has_other(self, thread: SensorThread) -> bool:
        others = (t for t in self._attached.values() if t is not thread and not t.stopped)
        return any(other.modality == thread.modality for other in others)

    def _leave(self, thread: SensorThread, *, ended: bool = False) -> None:
        modality = thread.modality
        thread.sampled = False
        active = self._active.get(modality) is thread
        if active:
            del self._active[modality]
        if modality not in self._active:
            # The last embedding of an ended source holds until it expires, as do those of others when a
            # sensor that was never active leaves.
            self._sink.remove(modality, ended=ended or not active, needed=self._has_other(thread))

    def _report_active(self, thread: SensorThread) -> None:
        """Report the active sensor, unless that is known, or it has always been the only one."""
        known = self._reported.get(thread.modality)
        if known != thread.name and (known is not None or self._has_other(thread)):
            self._reported[thread.modality] = thread.name
            self._sink.report(ActiveSensorEvent(time.monotonic(), thread.name, thread.modality))

    def _report(self, thread: SensorThread, kind: SensorEventKind, reason: str) -> None:
        """Report a change of a sensor; call it before the sensor leaves, as the cause comes first."""
        if (event := thread.event(kind, reason)) is not None:
            self._sink.report(event)
