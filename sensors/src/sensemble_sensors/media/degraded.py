"""Examples and streams under conditions: the samples that sensors under these would have given."""

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

    Args:
        samples: one modality of an example, as `Kind.samples` yields it in the form of `captured`.
        spec: the form of that modality.
        degrade: the degradation of a stream of examples, of which this is the next.

    Returns:
        An array of exactly `spec.shape`, or a caption; None if it is late for the last sample.
    """
    ring = kind_of(spec.modality).windows(spec)
    given = list(samples)
    for sample in map(degrade, given):
        if sample.time <= given[-1].time:
            ring.push(sample)
    window = ring.take()
    return None if window is None else window.data


def degraded_stream(
    samples: Iterable[Sample], applied: Sequence[Applied], specs: Mapping[str, InputSpec]
) -> Iterator[Sample]:
    """Yield a stream of samples of any modalities, degraded, in the order of their times.

    Args:
        samples: in the order of their times, in the forms of `captured`.
        applied: the conditions.
        specs: the form of each modality.
    """
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
