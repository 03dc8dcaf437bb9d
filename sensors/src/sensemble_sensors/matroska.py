"""The media file of a segment: what was recorded as one Matroska file, without loss, and back again."""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.sensor import Sample
from sensemble_sensors.tracks import opened

_TICKS = 1000  # Matroska's, a second


def encode(samples: Sequence[Sample], start: float, rate: int) -> bytes:
    """Encode sound and pictures, losslessly, as one Matroska file.

    Args:
        samples: of `audio` and `video`, in the order of their times; others are left out.
        start: the time that becomes the file's beginning, unless a sample begins before it.
        rate: of the sound.
    """
    sound = [s for s in samples if s.modality == "audio"]
    shots = [s for s in samples if s.modality == "video"]
    start = min([start, *(s.time for s in shots), *(s.time - len(s.data) / rate for s in sound)])
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
    return out.getvalue()


def decode_sound(path: Path) -> NDArray[np.float32]:
    """Decode all the sound that `encode` put into a file, float32 [n].

    Raises:
        BadDataError: the file is unreadable.
    """
    with opened(path) as container:
        pieces = [np.asarray(frame.to_ndarray(), np.float32).ravel() for frame in container.decode(audio=0)]
    return np.concatenate([np.zeros(0, np.float32), *pieces])


def decode_pictures(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Decode the pictures that `encode` put into a file, one by one, uint8 [H, W, 3].

    Raises:
        BadDataError: the file is unreadable.
    """
    with opened(path) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)


def _runs(sound: Sequence[Sample], rate: int) -> list[tuple[float, Any]]:
    """Return (begin, float32 [n]) between cuts: the times of chunks jitter, their sound does not."""
    runs: list[tuple[float, list[Any]]] = []
    for sample in sound:
        if sample.cut or not runs:
            runs.append((sample.time - len(sample.data) / rate, []))
        runs[-1][1].append(np.asarray(sample.data, np.float32))
    return [(begin, np.concatenate(pieces)) for begin, pieces in runs]
