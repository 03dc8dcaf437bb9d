"""The thread of one sensor: it opens, reads and closes the sensor, and tries again after a failure."""

import threading
import traceback
from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Protocol

from sensemble_sensors.conditioned import Conditioned
from sensemble_sensors.errors import SensorLostError
from sensemble_sensors.health.health import Health
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Killable, Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import PLAYED, Thresholds

from sensemble_runtime.backoff import Backoff
from sensemble_runtime.events import SensorEvent, SensorEventKind

READ = 0.1  # seconds that one read may wait, and so about the time that a sensor thread takes to stop
ALIKE = 3  # errors at one place, with no success between them, after which the sensor's code is broken
BURST = 0.25  # seconds of a flood (`Kind.flood`) that may come at once
CLOSE = 5.0  # seconds that all threads have to return when a session is closed
KILL = 1.0  # seconds more for sensors in processes of their own, once those are killed


class Owner(Protocol):
    """The owner of sensor threads, called from each of them: a `SensorSet`."""

    @property
    def stopped(self) -> bool:
        """True if all its threads are to end."""

    def on_open(self, thread: "SensorThread") -> None:
        """Handle the opening of the sensor."""

    def on_sample(self, thread: "SensorThread", sample: Sample) -> None:
        """Handle a sample of a healthy sensor; an error raised here counts as the sensor's failure."""

    def on_health(self, thread: "SensorThread", kind: SensorEventKind, reason: str) -> None:
        """Handle that the sensor became `unhealthy` or `doubtful`, or has `recovered`."""

    def on_error(self, thread: "SensorThread", error: BaseException) -> None:
        """Handle an error of the sensor; unless this calls `thread.stop`, the sensor is tried again."""

    def lag_of_other(self, modality: str) -> float | None:
        """Return the lag of the sensor that one of `modality` must not drift from, or None."""


class SensorThread:
    """A sensor, and the `thread` that alone uses it, not started.

    `health` says when it is unhealthy; without it, or where the sensor is not live, only its clock is
    checked. `previous` threads, which may still use the sensor, are waited for.
    """

    def __init__(
        self,
        name: str,
        sensor: Sensor,
        spec: InputSpec,
        health: Thresholds | None,
        conditions: Sequence[Applied],
        previous: Sequence[threading.Thread],
        owner: Owner,
    ) -> None:
        self.name = name
        self.sensor = sensor
        self.modality = sensor.modality
        self.conditions = conditions
        self.thread = threading.Thread(target=self._run, name=f"sensemble {name}", daemon=True)
        # Of its last event; never twice the same.
        self.reported: tuple[SensorEventKind | None, str] = (None, "")
        self.sampled = False  # whether it has given a sample since it was opened
        self.waited_for = False  # whether nobody waits any longer for its first sample
        self.lag: float | None = None  # seconds behind the clock
        self.retry_at: float | None = None  # on `time.monotonic`, while it waits to be opened again
        self._spec, self._thresholds, self._previous, self._owner = spec, health, previous, owner
        self._source = Conditioned(sensor, conditions) if conditions else sensor
        self._stopped = threading.Event()
        self._retry = threading.Event()  # ends the wait between two tries
        self._backoff = Backoff()
        self._lost = ""  # the reason to treat it as lost
        self._flood = kind_of(spec).flood
        self._ahead = 0.0  # until when the samples read so far would have lasted at the rate of a flood
        self._suspected: tuple[str, ...] = ()  # the faults for which it was last closed
        self._raised: Counter[object] = Counter()  # errors of its own code since it worked, by type and place

    @property
    def stopped(self) -> bool:
        """True if the thread is to end."""
        return self._stopped.is_set() or self._owner.stopped

    def stop(self) -> None:
        """Let the thread end as soon as the sensor returns from its current call."""
        self._stopped.set()
        self._retry.set()

    def retry(self) -> None:
        """Try a lost sensor again now."""
        self._retry.set()

    def lose(self, reason: str) -> None:
        """Treat an open sensor as lost, though it may still give samples."""
        self._lost = reason

    def count(self, error: BaseException) -> int:
        """Count an error of the sensor's code; return how often this place raised it since it worked."""
        calls = tuple((frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__))
        key = type(error), calls, *getattr(error, "__notes__", ())  # the calls in a process of its own
        self._raised[key] += 1
        return self._raised[key]

    def event(self, kind: SensorEventKind, reason: str) -> SensorEvent | None:
        """Return the event to report; None if the last one said the same."""
        if self.reported == (kind, reason):
            return None
        self.reported = (kind, reason)
        return SensorEvent(monotonic(), self.name, self.modality, kind, reason)

    def kill(self) -> bool:
        """End the sensor's process; return whether it has one."""
        if not isinstance(self.sensor, Killable):
            return False
        self.sensor.kill()
        return True

    def _run(self) -> None:
        for thread in self._previous:
            thread.join()
        while not self.stopped:
            self._use()
            wait = self._backoff.next()
            self.retry_at = monotonic() + wait
            if self._retry.wait(wait):
                self._retry.clear()
                self._backoff.reset()
            self.retry_at = None

    def _use(self) -> None:
        try:
            try:
                self._read()
            except BaseException as error:  # noqa: BLE001
                self._owner.on_error(self, error)
            finally:
                self._source.close()
        except BaseException as error:  # noqa: BLE001
            self._owner.on_error(self, error)

    def _read(self) -> None:
        self._lost = ""  # not after opening, which may take a while: its device may go meanwhile
        self._source.open(self._spec)
        began = monotonic()
        self._owner.on_open(self)
        limits = self._thresholds if self._thresholds and self.sensor.live else PLAYED
        wrong = self._suspected
        health = Health(self._spec, limits, began, wrong)
        state = self._report_health(("recovered", ""), wrong, ())
        while not self.stopped:
            sample = self._next(began)
            wrong = health.check(sample, monotonic(), self._owner.lag_of_other(self.modality))
            self.lag = health.lag if limits is not PLAYED else None
            state = self._report_health(state, wrong, health.doubts)
            if health.must_reopen and not getattr(self.sensor, "pushed", False):
                # One sample clears a stall.
                self._suspected = () if health.stalled else wrong
                raise SensorLostError(f"{self.name}: {'; '.join(wrong)}; it is reopened")
            if not wrong:
                self._suspected = ()
            if sample is not None and not wrong:
                self._owner.on_sample(self, sample)
            if sample is not None:
                self._pace()

    def _report_health(
        self, before: tuple[SensorEventKind, str], wrong: tuple[str, ...], doubts: tuple[str, ...]
    ) -> tuple[SensorEventKind, str]:
        kind: SensorEventKind = "unhealthy" if wrong else "doubtful" if doubts else "recovered"
        state = (kind, "; ".join(wrong + doubts))
        if state != before:
            self._owner.on_health(self, *state)
        return state

    def _next(self, began: float) -> Sample | None:
        sample = self._source.read(READ)
        if self._lost:
            raise SensorLostError(f"{self.name}: {self._lost}")
        if sample is not None and monotonic() - began > self._backoff.delay:
            self._backoff.reset()  # a sensor that works for a shorter time has not recovered
            self._raised.clear()
        return sample.frozen() if sample is not None else None  # it is shared from here on

    def _pace(self) -> None:
        now = monotonic()
        self._ahead = max(self._ahead, now) + 1 / self._flood
        if self._ahead - now > BURST:
            self._stopped.wait(self._ahead - now - BURST)


def join(threads: Sequence[SensorThread], deadline: float) -> list[SensorThread]:
    """Wait for stopped sensor threads, and kill the processes of late ones; return those still running."""
    killed = [sensor for sensor in _running(threads, deadline) if sensor.kill()]
    _running(killed, monotonic() + KILL)
    return [sensor for sensor in threads if sensor.thread.is_alive()]


def _running(threads: Sequence[SensorThread], deadline: float) -> list[SensorThread]:
    for sensor in threads:
        if sensor.thread is not threading.current_thread():
            sensor.thread.join(max(0.0, deadline - monotonic()))
    return [sensor for sensor in threads if sensor.thread.is_alive()]
