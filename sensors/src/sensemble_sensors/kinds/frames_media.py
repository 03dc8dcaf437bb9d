"""Pictures in media files: written as a lossless track, and read back."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from sensemble_sensors.codecs.containers import opened, track_of
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.interfaces import TrackReader, TrackWriter
from sensemble_sensors.sensor import Sample

_TICKS = 1000  # a second, in Matroska


def picture_writer(
    container: OutputContainer, samples: Sequence[Sample], size: tuple[int, ...]
) -> TrackWriter:
    """Add a track of FFV1, whose slices carry checksums, with the name of the samples' modality."""
    track = container.add_stream("ffv1", options={"level": "3", "slicecrc": "1"})
    track.metadata["title"] = samples[0].modality
    track.height, track.width = size
    track.pix_fmt = "bgr0"
    track.codec_context.time_base = Fraction(1, _TICKS)
    track.codec_context.thread_count = 1

    def write(start: float) -> None:
        tick = -1
        for sample in samples:
            frame = av.VideoFrame.from_ndarray(np.asarray(sample.data, np.uint8), format="rgb24")
            frame = frame.reformat(format="bgr0")
            tick = max(tick + 1, round((sample.time - start) * _TICKS))
            frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))

    return TrackWriter(min(sample.time for sample in samples), write)


def picture_reader(path: Path | None, name: str, size: tuple[int, ...]) -> TrackReader:
    """Read the pictures of such a track, uint8 [H, W, 3]."""
    pictures = iter(()) if path is None else _decoded(path, name, size)
    return lambda _: next(pictures, None)


def _decoded(path: Path, name: str, size: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    with opened(path) as container:
        for frame in container.decode(track_of(path, container, "video", name)):
            if not isinstance(frame, av.VideoFrame):
                continue
            if (frame.height, frame.width) != size:
                raise BadDataError(f"{path}: a picture is not of {' x '.join(map(str, size))}; copy it again")
            yield np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)
