"""The thread of one sensor: opens it, reads it, closes it, and tries again when that fails, until stopped.

What it reads is checked; while something is wrong with it, nobody gets it.
"""

import threading
from collections.abc import Callable, Sequence
from time import monotonic

from sensemble_sensors.errors import SensorLostError
from sensemble_sensors.health.health import Health
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import PLAYED, Thresholds

from sensemble_runtime.events import Kind, SensorEvent

READ = 0.1  # seconds that one read may wait, and so about how long a reader takes to stop
RETRY = (0.5, 10.0)  # seconds to the first retry, doubled up to the last

FLOOD = 200  # samples a second that are read at most, on average: one that floods takes no time from others
BURST = 0.25  # seconds of them that may come at once

CLOSE = 5.0  # seconds that `join` gives the sensors to return from what they are doing
KILL = 1.0  # seconds more, once its process is killed, for one that has its own


class Reader:
    """A sensor and the thread that alone uses it.

    Args:
        name: what the sensor is called.
        sensor: to be read.
        spec: what its samples shall be like.
        health: when it counts as unwell; None, or where it is not live: only if its clock is wrong.
        before: threads that may still use the same sensor, to be waited for.
        opened: called, as the others in the reader's thread, when the sensor was opened.
        gave: called with each sample, unless the sensor is unwell; what it raises counts as its failure.
        felt: called with `unwell`, `doubtful` or `well`, and what is wrong, whenever that changes.
        beside: returns the lag of the sensor that this one must not drift from, or None.
        failed: called with whatever the sensor raised. Unless it calls `stop`, the sensor is tried again.

    Attributes:
        stopped: set by `stop`.
        told: the kind and the reason of its last `news`, so that a retry tells only what is new.
        lag: seconds by which its samples are behind the clock; None where that is not known.
        due: ends the wait between two tries when it is set.
        thread: not started; it ends after `stop`, when the sensor is closed.
    """

    def __init__(
        self,
        name: str,
        sensor: Sensor,
        spec: InputSpec,
        health: Thresholds | None,
        before: Sequence[threading.Thread],
        *,
        opened: Callable[["Reader"], None],
        gave: Callable[["Reader", Sample], None],
        felt: Callable[["Reader", Kind, str], None],
        beside: Callable[["Reader"], float | None],
        failed: Callable[["Reader", BaseException], None],
    ) -> None:
        self.name = name
        self.sensor = sensor
        self.modality = sensor.modality
        self.stopped = threading.Event()
        self.due = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"sensemble {name}", daemon=True)
        self.told = ("", "")
        self.lag: float | None = None
        self._spec = spec
        self._thresholds = health
        self._before = before
        self._opened, self._gave, self._failed = opened, gave, failed
        self._felt, self._beside = felt, beside
        self._delay = RETRY[0]
        self._gone = ""  # why it is to be lost
        self._ahead = 0.0  # until when the samples that were read would have lasted at the rate of a flood
        self._suspected: tuple[str, ...] = ()  # what was wrong when it was last closed for it

    def stop(self) -> None:
        """Let the thread end as soon as the sensor returns from what it does."""
        self.stopped.set()
        self.due.set()

    def retry(self) -> None:
        """Try a lost sensor again now, as it is known to be back."""
        self.due.set()

    def lose(self, reason: str) -> None:
        """Let an open sensor be lost, though it goes on to give something."""
        self._gone = reason

    def news(self, kind: Kind, reason: str) -> SensorEvent | None:
        """Return what became of the sensor, to be told; None where that was told last."""
        if self.told == (kind, reason):
            return None
        self.told = (kind, reason)
        return SensorEvent(monotonic(), self.name, self.modality, kind, reason)

    def kill(self) -> None:
        """End the sensor's process, if it has one, for it does not return."""
        if isinstance(self.sensor, Isolated):
            self.sensor.kill()

    def _run(self) -> None:
        for thread in self._before:
            thread.join()
        while not self.stopped.is_set():
            for act in (self._read, self.sensor.close):
                try:
                    act()
                except BaseException as error:  # noqa: BLE001 - whatever a sensor does ends no thread
                    self._failed(self, error)
            if self.due.wait(self._delay) and not self.stopped.is_set():
                self.due.clear()
                self._delay = RETRY[0]
            else:
                self._delay = min(2 * self._delay, RETRY[1])

    def _read(self) -> None:
        self.sensor.open(self._spec)
        self._gone = ""
        began = monotonic()
        self._opened(self)
        limits = self._thresholds if self._thresholds and self.sensor.live else PLAYED
        wrong = self._suspected
        health = Health(self._spec, limits, began, wrong)
        feeling = self._feel(("well", ""), wrong, ())
        while not self.stopped.is_set():
            sample = self._next(began)
            wrong = health.check(sample, monotonic(), self._beside(self))
            self.lag = health.lag if limits is not PLAYED else None
            feeling = self._feel(feeling, wrong, health.doubts)
            if health.hopeless:
                # What gives nothing has nothing to prove once it gives something.
                self._suspected = () if health.stalled else wrong
                raise SensorLostError(f"{self.name}: {'; '.join(wrong)}; it is opened anew")
            if not wrong:
                self._suspected = ()
            if sample is not None and not wrong:
                self._gave(self, sample)
            if sample is not None:
                self._pace()

    def _feel(
        self, before: tuple[Kind, str], wrong: tuple[str, ...], doubts: tuple[str, ...]
    ) -> tuple[Kind, str]:
        """Tell how the sensor is, if that has changed, and return it."""
        kind: Kind = "unwell" if wrong else "doubtful" if doubts else "well"
        feeling = (kind, "; ".join(wrong + doubts))
        if feeling != before:
            self._felt(self, *feeling)
        return feeling

    def _next(self, began: float) -> Sample | None:
        sample = self.sensor.read(READ)
        if self._gone:
            raise SensorLostError(f"{self.name}: {self._gone}")
        if sample is not None and monotonic() - began > self._delay:
            self._delay = RETRY[0]  # one that lives shorter than it was waited for is no better yet
        return sample

    def _pace(self) -> None:
        """Wait, after a sample, if there were too many of late."""
        now = monotonic()
        self._ahead = max(self._ahead, now) + 1 / FLOOD
        if self._ahead - now > BURST:
            self.stopped.wait(self._ahead - now - BURST)


def join(readers: Sequence[Reader]) -> list[Reader]:
    """Wait for the threads of stopped readers, and kill the processes of those that do not return in time.

    Returns:
        The readers whose threads still run; they are daemons, and left behind.
    """
    deadline = monotonic() + CLOSE
    for reader in readers:
        _join(reader.thread, deadline - monotonic())
    for reader in readers:
        if reader.thread.is_alive():
            reader.kill()
            _join(reader.thread, KILL)
    return [reader for reader in readers if reader.thread.is_alive()]


def _join(thread: threading.Thread, timeout: float) -> None:
    if thread is not threading.current_thread():
        thread.join(max(0.0, timeout))
