"""Turn a dataset's example into the stream of samples that devices would have given."""

from collections.abc import Mapping

from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec


def span(specs: Mapping[str, InputSpec]) -> float:
    """Return the seconds that one example takes to play: the longest window."""
    return max(spec.window for spec in specs.values())


def samples(example: Example, specs: Mapping[str, InputSpec], origin: float) -> list[Sample]:
    """Return the window of `example` as the stream that devices would have given, all later than `origin`.

    Samples are in the order of their times: sound in chunks of 0.1 s, video frame by frame, and the caption
    just before the last of them, for no window waits for captions. Every window is complete at `origin +
    span(specs)`. The first sample of each modality is a cut. Raises BadDataError if a file cannot be decoded.
    """
    end = origin + span(specs)
    present = [m for m in example.modalities if m in specs]
    stream = [sample for m in present for sample in kind_of(specs[m]).samples(example, specs[m], end)]
    return sorted(stream, key=lambda sample: (sample.time, kind_of(specs[sample.modality]).steady))
