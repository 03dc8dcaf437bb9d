"""The thread of one sensor: it opens, reads and closes the sensor as a `Suite` orders."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from sensemble_sensors.clock import REAL, Clock, sleep
from sensemble_sensors.degraded import Degraded
from sensemble_sensors.errors import SensorUnavailableError, text_of
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Killable, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.suite import Act, Suite

READ = 0.2  # seconds that one read may wait, and so about the time that a reader takes to stop
BURST = 0.25  # seconds of a flood (`Kind.flood`) that may come at once

_LOG = logging.getLogger(__name__)


class ReaderThread:
    """A sensor, and the `thread` that alone uses it, not started.

    Args:
        call: calls an input method of the suite with its arguments and the time, from any thread.
        prepare: called after each opening: loads what the samples need; may be slow.
        previous: threads that may still use the sensor; they are waited for.

    Attributes:
        name: as the suite calls it.
    """

    def __init__(
        self,
        key: int,
        sensor: Sensor,
        spec: InputSpec,
        suite: Suite,
        call: Callable[..., Any],
        *,
        prepare: Callable[[str], None] = lambda _: None,
        conditions: Sequence[Applied] = (),
        previous: Sequence[threading.Thread] = (),
        clock: Clock = REAL,
    ) -> None:
        self.key, self.sensor, self.name = key, sensor, sensor.name
        self.thread = threading.Thread(target=self._run, name=f"sensemble {sensor.name}", daemon=True)
        self._spec, self._suite, self._call, self._prepare = spec, suite, call, prepare
        self._source = Degraded(sensor, conditions) if conditions else sensor
        self._previous, self._clock = previous, clock
        self._wanted = threading.Event()  # unset: neither open nor read
        self._closing = self._over = False
        self._flood = kind_of(spec).flood
        self._missed = False  # whether it was logged that it cannot be opened
        self._ahead = 0.0  # the time to which the samples read so far would reach at the flood's rate

    def obey(self, act: Act) -> None:
        """Do what a `ReaderOrder` says, as soon as the sensor returns from its current call."""
        self._closing = act in ("close", "end")
        self._over |= act == "end"
        (self._wanted.clear if act == "pause" else self._wanted.set)()

    def kill(self) -> bool:
        """End the sensor's process; return whether it has one."""
        if not isinstance(self.sensor, Killable):
            return False
        self.sensor.kill()
        return True

    def _run(self) -> None:
        for thread in self._previous:
            thread.join()
        while True:
            self._wanted.wait()
            if self._over:
                return
            self._use()
            self._wanted.clear()
            if self._over:  # nobody would order anything
                return
            self._call(self._suite.closed, self.key)

    def _use(self) -> None:
        try:
            try:
                self._read()
            except BaseException as error:  # noqa: BLE001
                self._fail(error)
            finally:
                self._source.close()
        except BaseException as error:  # noqa: BLE001
            self._fail(error)

    def _read(self) -> None:
        self._source.open(self._spec)
        self._call(self._suite.opened, self.key)
        self._prepare(self._spec.modality)
        self._call(self._suite.ready, self.key)
        while not self._closing:
            sample = self._source.read(READ)
            # Frozen, because several threads share it from here.
            self._call(self._suite.gave, self.key, sample.frozen() if sample is not None else None)
            if sample is not None:
                self._pace()
            self._wanted.wait()

    def _fail(self, error: BaseException) -> None:
        if self._call(self._suite.failed, self.key, error):
            _LOG.error("%s: its code raised an error", self.name, exc_info=error)
        elif isinstance(error, SensorUnavailableError) and not self._missed:
            self._missed = True
            _LOG.warning("%s: is not there; it is tried until it is: %s", self.name, text_of(error))

    def _pace(self) -> None:
        now = self._clock.now()
        self._ahead = max(self._ahead, now) + 1 / self._flood
        if self._ahead - now > BURST:
            sleep(self._clock, self._ahead - now - BURST)
