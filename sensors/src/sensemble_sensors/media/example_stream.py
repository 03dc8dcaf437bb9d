"""A dataset example as the stream of samples that devices would have given."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import window
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_CHUNK = 0.1  # seconds of sound in a sample


def span(specs: Mapping[str, InputSpec]) -> float:
    """Return the seconds that one example takes to play: the longest window."""
    return max(spec.window for spec in specs.values())


def samples(example: Example, specs: Mapping[str, InputSpec], origin: float) -> list[Sample]:
    """Return the window of `example` as the stream that devices would have given.

    Args:
        example: what to play; modalities that `specs` lacks are left out.
        specs: the input of each encoder.
        origin: when the example begins.

    Returns:
        Samples in the order of their times, all later than `origin`: sound in chunks of 0.1 s, video frame by
        frame, and the caption just before the last of them, for no window waits for captions. Every window is
        complete at `origin + span(specs)`. The first sample of each modality is a cut.

    Raises:
        BadDataError: a media file cannot be decoded.
    """
    over = origin + span(specs)
    stream: list[Sample] = []
    if "audio" in specs and "audio" in example.modalities:
        spec = specs["audio"]
        wave = np.asarray(window(example, spec)[0], np.float32)
        for first, chunk in chunks(iter([wave]), spec.rate):
            left = (len(wave) - first - len(chunk)) / spec.rate
            stream.append(Sample("audio", chunk, over - left, cut=first == 0))
    if "video" in specs and "video" in example.modalities:
        spec = specs["video"]
        frames = np.asarray(window(example, spec)[0], np.uint8)
        for i, frame in enumerate(frames):
            stream.append(Sample("video", frame, over - (len(frames) - 1 - i) / spec.rate, cut=i == 0))
    if "text" in specs and example.text is not None:
        stream.append(Sample("text", example.text, over, cut=True))
    return sorted(stream, key=lambda sample: (sample.time, sample.modality != "text"))


def chunks(pieces: Iterator[NDArray[np.float32]], rate: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cut sound into equal chunks, the last one as short as it comes; yield (first sample, chunk)."""
    size = round(_CHUNK * rate)
    first = 0
    rest = np.zeros(0, np.float32)
    for piece in pieces:
        rest = np.concatenate([rest, piece])
        while len(rest) >= size:
            yield first, rest[:size]
            first, rest = first + size, rest[size:]
    if len(rest):
        yield first, rest
