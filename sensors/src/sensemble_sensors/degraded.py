"""Streams under conditions: of a live sensor, of an example, of a recording."""

from collections.abc import Iterable, Sequence
from functools import reduce

from sensemble_sensors.kinds.conditions.condition import Applied, Degradation
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Media, Sample, Sensor, is_played, is_pushed
from sensemble_sensors.spec import InputSpec


def captured(applied: Iterable[Applied], spec: InputSpec) -> InputSpec:
    """Return the form in which a source should give samples to `begin`; `spec` if nothing degrades them."""
    degraded = any(one.modality == spec.modality for one in applied)
    return kind_of(spec).captured(spec) if degraded else spec


def begin(applied: Iterable[Applied], spec: InputSpec, seed: int = 0) -> Degradation:
    """Return the degradation of a new stream by those of `applied` that are of its modality, in order.

    It takes samples in the form of `captured` or of `spec`, and returns them in that of `spec`.
    """
    kind = kind_of(spec)
    form = kind.captured(spec)
    acts = [one.condition.begin(one.severity, form, seed) for one in applied if one.modality == spec.modality]

    def degrade(sample: Sample) -> Sample:
        fitted = kind.fitted(sample, form)
        return kind.fitted(reduce(lambda given, act: act(given), acts, fitted), spec)

    return degrade if acts else lambda sample: sample


def degraded_window(samples: Iterable[Sample], spec: InputSpec, degrade: Degradation) -> Media | str:
    """Return the encoder's input, [1, ...] or a caption, at the end of an example whose samples are degraded.

    `samples` are of one modality, as `Kind.samples` yields them in the form of `captured`; the example is the
    next in the stream of `degrade`.
    """
    ring = kind_of(spec).windows(spec)
    for sample in map(degrade, samples):
        ring.push(sample)
    window = ring.pop()
    assert window is not None  # noqa: S101 - an example fills a window
    return window.data


class Degraded:
    """Degrades a sensor's samples by `applied`, in order, before anything else sees them."""

    def __init__(self, sensor: Sensor, applied: Sequence[Applied]) -> None:
        self.modality = sensor.modality
        self.name = sensor.name
        self._sensor = sensor
        self._applied = applied
        self._spec: InputSpec | None = None  # None before it is opened

    @property
    def played(self) -> bool:
        """See `Sensor`."""
        return is_played(self._sensor)

    @property
    def pushed(self) -> bool:
        """See `Sensor`."""
        return is_pushed(self._sensor)

    def open(self, spec: InputSpec) -> None:
        """Open the sensor and begin a new degraded stream."""
        self._sensor.open(captured(self._applied, spec))
        self._spec = spec
        self._degrade = begin(self._applied, spec)

    def change(self, applied: Sequence[Applied]) -> None:
        """Degrade by other conditions from the next sample on; safe from any thread."""
        self._applied = applied
        if self._spec is not None:
            self._degrade = begin(applied, self._spec)

    def read(self, timeout: float) -> Sample | None:
        """Return the next degraded sample; see `Sensor`."""
        sample = self._sensor.read(timeout)
        return None if sample is None else self._degrade(sample.frozen())  # conditions look back

    def close(self) -> None:
        """Close the sensor."""
        self._sensor.close()
