"""Streams under conditions: of a live sensor, of an example, of a recording."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from heapq import heappop, heappush
from itertools import count
from time import monotonic, sleep

from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.kinds.conditions.condition import Applied, Degradation
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Media, Sample, Sensor
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


def degraded_window(samples: Iterable[Sample], spec: InputSpec, degrade: Degradation) -> Media | str | None:
    """Return what an encoder sees at the end of an example whose samples are degraded.

    `samples` are of one modality of an example, as `Kind.samples` yields them in the form of `captured`; the
    example is the next in the stream of `degrade`. Returns an array of exactly `spec.shape`, or a caption;
    None if the last sample is late.
    """
    ring = kind_of(spec).windows(spec)
    given = list(samples)
    for sample in map(degrade, given):
        if sample.time <= given[-1].time:
            ring.push(sample)
    window = ring.pop()
    return None if window is None else window.data


def degraded_stream(
    samples: Iterable[Sample], applied: Sequence[Applied], specs: Mapping[str, InputSpec]
) -> Iterator[Sample]:
    """Yield a stream of samples (in the forms of `captured`), degraded, in the order of their times."""
    degradations = {modality: begin(applied, spec) for modality, spec in specs.items()}
    held: list[tuple[float, int, Sample]] = []
    number = count()  # keeps the order of equal times
    for sample in samples:
        given = degradations[sample.modality](sample)
        heappush(held, (given.time, next(number), given))
        while held and held[0][0] <= sample.time:
            yield heappop(held)[2]
    while held:
        yield heappop(held)[2]


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
