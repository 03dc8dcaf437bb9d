"""Examples and streams under conditions, as sensors under these would have given them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count

from sensemble_sensors.kinds.conditions.condition import Applied, Degradation
from sensemble_sensors.kinds.degrading import begin
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Media, Sample
from sensemble_sensors.spec import InputSpec


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
