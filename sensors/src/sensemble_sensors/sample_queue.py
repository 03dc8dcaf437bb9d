"""A bounded queue between two threads, and the base of sensors that read from one."""

from collections import deque
from dataclasses import replace
from threading import Condition

from sensemble_sensors.errors import SensorLostError, SensorsError
from sensemble_sensors.sensor import Sample


class SampleQueue:
    """Holds at most `capacity` samples in order, or as many rows of a series; drops the oldest when full.

    The first sample is a `cut`, as is the one after a hole in a continuous stream such as sound. Each carries
    the number lost before it.
    """

    def __init__(self, capacity: int, *, continuous: bool = False, rows: bool = False) -> None:
        self._samples: deque[Sample] = deque()
        self._capacity = capacity
        self._continuous = continuous
        self._rows = rows
        self._held = 0  # samples or rows
        self._changed = Condition()
        self._cut = True
        self._lost = 0  # since the sample that was read last
        self._waiting = False  # whether `get` waits
        self._end: SensorsError | None = None

    def put(self, sample: Sample) -> None:
        """Add a sample, unless the queue has ended; never blocks."""
        with self._changed:
            if self._end is not None:
                return
            size = self._size(sample)
            while self._samples and self._held + size > self._capacity:
                lost = self._samples.popleft()
                self._held -= self._size(lost)
                self._cut |= lost.cut or self._continuous
                self._lost += self._size(lost) + lost.lost
            self._samples.append(sample)
            self._held += size
            self._changed.notify_all()

    def _size(self, sample: Sample) -> int:
        return len(sample.data) if self._rows else 1

    def end(self, error: SensorsError) -> None:
        """Let `get` raise `error` after the samples that are left."""
        with self._changed:
            self._end = error
            self._changed.notify_all()

    def wait_until_used(self, timeout: float) -> bool:
        """Wait until the reader used every sample and asks for more, or the queue ended; False if late."""
        with self._changed:
            return self._changed.wait_for(
                lambda: (self._waiting and not self._samples) or self._end is not None, timeout
            )

    def get(self, timeout: float) -> Sample | None:
        """Return the oldest sample, or None after `timeout` seconds; raise the error given to `end`."""
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._samples or self._end is not None, timeout)
            self._waiting = False
            if self._samples:
                sample = self._samples.popleft()
                self._held -= self._size(sample)
                cut, self._cut = sample.cut or self._cut, False
                lost, self._lost = sample.lost + self._lost, 0
                return replace(sample, cut=cut, lost=lost)
            if self._end is not None:
                raise self._end
            return None


class QueuedSensor:
    """A sensor that reads what another thread puts into its queue; without a queue, it is closed."""

    name: str
    _queue: SampleQueue | None = None

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`."""
        if self._queue is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._queue.get(timeout)

    def close(self) -> None:
        """Drop samples from now on."""
        self._queue = None
