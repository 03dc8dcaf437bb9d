"""A live sensor under conditions."""

from collections import deque
from collections.abc import Sequence
from time import monotonic, sleep

from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.degrading import begin, captured
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec


class Conditioned:
    """Degrades a sensor's samples before anything else sees them, health checks included.

    `applied` acts in its order; `change` replaces it from any thread.
    """

    def __init__(self, sensor: Sensor, applied: Sequence[Applied]) -> None:
        self.modality = sensor.modality
        self.name = sensor.name
        self._sensor = sensor
        self._applied = applied
        self._spec: InputSpec | None = None  # None before it is opened
        self._held: deque[Sample] = deque()  # until their times

    @property
    def live(self) -> bool:
        """See `Sensor`."""
        return self._sensor.live

    def open(self, spec: InputSpec) -> None:
        """Open the sensor and begin a new degraded stream."""
        self._sensor.open(captured(self._applied, spec))
        self._spec = spec
        self._degrade = begin(self._applied, spec)
        self._held.clear()

    def change(self, applied: Sequence[Applied]) -> None:
        """Degrade by other conditions from the next sample on; safe from any thread."""
        self._applied = applied
        if self._spec is not None:
            self._degrade = begin(applied, self._spec)

    def read(self, timeout: float) -> Sample | None:
        """Return the next degraded sample; hold a delayed one back until its time."""
        deadline = monotonic() + timeout
        while True:
            if self._held and self._held[0].time <= monotonic():
                return self._held.popleft()
            until = min(deadline, self._held[0].time) if self._held else deadline
            sample = self._next(max(0.0, until - monotonic()))
            if sample is not None:
                given = self._degrade(sample)
                if given.time == sample.time:
                    return given
                self._held.append(given)
            elif monotonic() >= deadline:
                return None

    def _next(self, timeout: float) -> Sample | None:
        """Return the sensor's next sample; report its end only when no sample is held back."""
        try:
            sample = self._sensor.read(timeout)
            return sample.frozen() if sample is not None else None  # conditions look back
        except SensorEndedError:
            if not self._held:
                raise
            sleep(timeout)
            return None

    def close(self) -> None:
        """Close the sensor."""
        self._sensor.close()
