"""The base of sensors whose rows are polled from a descriptor."""

from abc import ABC, abstractmethod
from collections import deque
from time import monotonic, sleep

from sensemble_sensors.errors import SensorLostError
from sensemble_sensors.readable import readable
from sensemble_sensors.sensor import Sample


class PolledRows(ABC):
    """Reads a descriptor at most as often as `_poll` asks for, so that rows make blocks."""

    name: str
    _file: int | None = None
    _due: float  # when to poll again
    _samples: deque[Sample]

    def read(self, timeout: float) -> Sample | None:
        """Return the rows that came, as one sample; see `Sensor`."""
        if self._file is None:
            raise SensorLostError(f"{self.name}: is closed")
        until = monotonic() + timeout
        while not self._samples:
            left = until - monotonic()
            if left < 0:
                return None
            sleep(max(0.0, min(self._due - monotonic(), left)))
            if readable(self._file, max(until - monotonic(), 0.0)):
                self._poll(self._file)
        early = self._samples[0].time - monotonic()  # only of a file
        sleep(max(0.0, min(early, until - monotonic())))
        return None if self._samples[0].time > monotonic() else self._samples.popleft()

    @abstractmethod
    def _poll(self, file: int) -> None:
        """Add the samples of what can be read, and set when to poll again."""
