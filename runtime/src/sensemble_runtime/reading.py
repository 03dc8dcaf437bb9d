"""The thread of one sensor: opens it, reads it, closes it, and tries again when that fails, until stopped."""

import threading
from collections.abc import Callable, Sequence

from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec

READ = 0.1  # seconds that one read may wait, and so about how long a reader takes to stop
RETRY = (0.5, 10.0)  # seconds to the first retry, doubled up to the last


class Reader:
    """A sensor and the thread that alone uses it.

    Args:
        name: what the sensor is called.
        sensor: to be read.
        spec: what its samples shall be like.
        before: threads that may still use the same sensor, to be waited for.
        opened: called, as the others in the reader's thread, when the sensor was opened.
        gave: called with each sample; what it raises counts as the sensor's failure.
        failed: called with whatever the sensor raised. Unless it sets `stopped`, the sensor is tried again.

    Attributes:
        stopped: ends the thread when it is set; the sensor is closed before that.
        thread: not started.
    """

    def __init__(
        self,
        name: str,
        sensor: Sensor,
        spec: InputSpec,
        before: Sequence[threading.Thread],
        *,
        opened: Callable[["Reader"], None],
        gave: Callable[["Reader", Sample], None],
        failed: Callable[["Reader", Exception], None],
    ) -> None:
        self.name = name
        self.sensor = sensor
        self.modality = sensor.modality
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"sensemble {name}", daemon=True)
        self._spec = spec
        self._before = before
        self._opened, self._gave, self._failed = opened, gave, failed
        self._delay = RETRY[0]

    def _run(self) -> None:
        for thread in self._before:
            thread.join()
        while not self.stopped.is_set():
            for act in (self._read, self.sensor.close):
                try:
                    act()
                except Exception as error:  # noqa: BLE001 - whatever a sensor does is told and ends no thread
                    self._failed(self, error)
            self.stopped.wait(self._delay)
            self._delay = min(2 * self._delay, RETRY[1])

    def _read(self) -> None:
        self.sensor.open(self._spec)
        self._opened(self)
        while not self.stopped.is_set():
            sample = self.sensor.read(READ)
            if sample is not None:
                self._delay = RETRY[0]
                self._gave(self, sample)
