"""Pictures in media files: written as a lossless track, and read back."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from sensemble_sensors.codecs.containers import first_track, opened
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.lines import Fields
from sensemble_sensors.sensor import Sample

_TICKS = 1000  # a second, in Matroska


class PictureWriter:
    """Writes pictures as a track of FFV1, whose slices carry checksums; see `TrackWriter`."""

    def __init__(self, container: OutputContainer, samples: Sequence[Sample], size: tuple[int, ...]) -> None:
        self.begin = min(sample.time for sample in samples)
        self._container = container
        self._samples = samples
        self._track = container.add_stream("ffv1", options={"level": "3", "slicecrc": "1"})
        self._track.height, self._track.width = size
        self._track.pix_fmt = "bgr0"
        self._track.codec_context.time_base = Fraction(1, _TICKS)
        self._track.codec_context.thread_count = 1

    def write(self, start: float) -> None:
        """See `TrackWriter`."""
        tick = -1
        for sample in self._samples:
            frame = av.VideoFrame.from_ndarray(np.asarray(sample.data, np.uint8), format="rgb24")
            frame = frame.reformat(format="bgr0")
            tick = max(tick + 1, round((sample.time - start) * _TICKS))
            frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
            self._container.mux(self._track.encode(frame))
        self._container.mux(self._track.encode(None))


class PictureReader:
    """Reads the track that `PictureWriter` wrote; see `TrackReader`."""

    def __init__(self, path: Path | None, size: tuple[int, ...]) -> None:
        self._pictures = iter(()) if path is None else _decoded(path, size)

    def take(self, line: Fields) -> NDArray[np.uint8] | None:  # noqa: ARG002
        """Return the next picture, uint8 [H, W, 3].

        Raises:
            BadDataError: the file is unreadable, or the picture is of another size.
        """
        return next(self._pictures, None)


def _decoded(path: Path, size: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    with opened(path) as container:
        for frame in container.decode(first_track(path, container, "video")):
            if not isinstance(frame, av.VideoFrame):
                continue
            if (frame.height, frame.width) != size:
                raise BadDataError(f"{path}: a picture is not of {' x '.join(map(str, size))}; copy it again")
            yield np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)
