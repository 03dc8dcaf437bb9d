"""The media file of a segment: what was recorded as one Matroska file, without loss, and back again."""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.containers import first_track, opened
from sensemble_sensors.sensor import Sample

_TICKS = 1000  # Matroska's, a second


def encode(samples: Sequence[Sample], rate: int) -> tuple[bytes, float]:
    """Encode sound and pictures, losslessly, as one Matroska file.

    Args:
        samples: of `audio` and `video`, in the order of their times; others are left out.
        rate: of the sound.

    Returns:
        The file, and the time that is its beginning: that of what begins first.
    """
    sound = [s for s in samples if s.modality == "audio"]
    shots = [s for s in samples if s.modality == "video"]
    start = min([*(s.time for s in shots), *(s.time - len(s.data) / rate for s in sound)])
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        # Both streams come before the first packet; FFV1's slices carry checksums.
        tracks: dict[str, Any] = {}
        if shots:
            picture = tracks["video"] = container.add_stream("ffv1", options={"level": "3", "slicecrc": "1"})
            picture.height, picture.width = np.shape(shots[0].data)[:2]
            picture.pix_fmt = "bgr0"
            picture.codec_context.time_base = Fraction(1, _TICKS)
            picture.codec_context.thread_count = 1
        if sound:
            tracks["audio"] = container.add_stream("pcm_f32le", rate=rate, layout="mono")
        tick = -1
        for shot in shots:
            frame = av.VideoFrame.from_ndarray(np.asarray(shot.data, np.uint8), format="rgb24")
            frame = frame.reformat(format="bgr0")
            tick = max(tick + 1, round((shot.time - start) * _TICKS))
            frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
            container.mux(tracks["video"].encode(frame))
        end = 0
        for begin, wave in _runs(sound, rate):
            piece = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
            piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
            # No earlier than the run before it ends, as a clock that steps back would have it.
            piece.pts = max(end, round((begin - start) * rate))
            end = piece.pts + len(wave)
            container.mux(tracks["audio"].encode(piece))
        for track in tracks.values():
            container.mux(track.encode(None))
    return out.getvalue(), start


def decode_sound(path: Path, rate: int) -> Iterator[NDArray[np.float32]]:
    """Decode the sound that `encode` put into a file, piece by piece, float32 [n].

    Raises:
        BadDataError: the file is unreadable, or its sound is of another form.
    """
    with opened(path) as container:
        for frame in container.decode(first_track(path, container, "audio")):
            if not isinstance(frame, av.AudioFrame):
                continue
            if (frame.format.name, frame.layout.nb_channels, frame.sample_rate) != ("flt", 1, rate):
                raise BadDataError(f"{path}: its sound is not of {rate} Hz; copy the recording again")
            yield np.asarray(frame.to_ndarray(), np.float32).ravel()


def decode_pictures(path: Path, size: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    """Decode the pictures that `encode` put into a file, one by one, uint8 [H, W, 3].

    Raises:
        BadDataError: the file is unreadable, or a picture is of another size.
    """
    with opened(path) as container:
        for frame in container.decode(first_track(path, container, "video")):
            if not isinstance(frame, av.VideoFrame):
                continue
            if (frame.height, frame.width) != size:
                raise BadDataError(f"{path}: a picture is not of {' x '.join(map(str, size))}; copy it again")
            yield np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)


def _runs(sound: Sequence[Sample], rate: int) -> list[tuple[float, Any]]:
    """Return (begin, float32 [n]) between cuts: the times of chunks jitter, their sound does not."""
    runs: list[tuple[float, list[Any]]] = []
    for sample in sound:
        if sample.cut or not runs:
            runs.append((sample.time - len(sample.data) / rate, []))
        runs[-1][1].append(np.asarray(sample.data, np.float32))
    return [(begin, np.concatenate(pieces)) for begin, pieces in runs]
