"""Decode media files into windows: the one path by which training, audit and runtime see them."""

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.dataset import Example
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.tracks import audio_pieces, length, video_frames


def window(example: Example, spec: InputSpec, *, at: float = 0.0) -> Media:
    """Return what an encoder sees of `example`, `at` seconds after its start.

    Args:
        example: has the spec's modality.
        spec: of `audio` or `video`.
        at: seconds from the example's start.

    Returns:
        An array of exactly `spec.shape`. Audio float32 [1, S]: zeros past the example's end. Video uint8
        [1, T, H, W, 3]: frame i is the one shown at `at + i / rate`; the last is held past the example's
        end; an image is repeated.

    Raises:
        BadDataError: a file is unreadable, has no such track, or ends before the place asked for.
    """
    start = (example.start or 0.0) + at
    if spec.modality == "audio" and example.audio is not None:
        count = spec.shape[1]
        seconds = count / spec.rate
        if example.end is not None:
            seconds = max(min(seconds, example.end - start), 0.0)
        wave = decode_audio(example.audio, spec.rate, start, seconds)
        return np.pad(wave, (0, count - len(wave)))[None]
    if spec.modality == "video":
        _, count, height, width, _ = spec.shape
        if example.image is not None:
            return decode_video(example.image, spec.rate, count, (height, width))[None]
        if example.video is not None:
            return decode_video(example.video, spec.rate, count, (height, width), start, end=example.end)[
                None
            ]
    raise BadDataError(f"example {example.id!r} (line {example.line}) has no {spec.modality} to decode")


def duration(example: Example) -> float:
    """Return how many seconds of media `example` has: to its `end`, or to the end of its longer file.

    Raises:
        BadDataError: a file is unreadable.
    """
    start = example.start or 0.0
    if example.end is not None:
        return example.end - start
    files = {path for path in (example.video, example.audio) if path is not None}
    return max((length(path) - start for path in files), default=0.0)


def decode_audio(
    path: Path, rate: float, start: float = 0.0, duration: float | None = None
) -> NDArray[np.float32]:
    """Decode a file's first audio track.

    Args:
        path: any file that FFmpeg reads.
        rate: samples a second (Hz) of the result.
        start: seconds within the file.
        duration: seconds to decode; None for all that follows.

    Returns:
        float32 [n], mono (the mean of the channels), in [-1, 1]; n is `duration * rate`, or less where the
        track ends sooner.

    Raises:
        BadDataError: the file is unreadable, has no audio track, or ends before `start`.
    """
    count = None if duration is None else round(duration * rate)
    pieces = [np.zeros(0, np.float32)]
    have = 0
    for piece in audio_pieces(path, rate, start):
        pieces.append(piece)
        have += len(piece)
        if count is not None and have >= count:
            break
    return np.concatenate(pieces)[:count]


def decode_video(
    path: Path,
    rate: float,
    frames: int,
    size: tuple[int, int],
    start: float = 0.0,
    *,
    end: float | None = None,
) -> NDArray[np.uint8]:
    """Decode `frames` frames of a file's first video track, or of a still picture.

    Args:
        path: any file that FFmpeg reads.
        rate: frames a second of the result, whatever the file's.
        frames: how many.
        size: (height, width), reached by `frames.fit`.
        start: seconds within the file.
        end: seconds within the file from which on no frame is used; None for the file's end.

    Returns:
        uint8 [frames, H, W, 3], RGB: frame i is the one shown at `start + i / rate`; the last is held past
        the end.

    Raises:
        BadDataError: the file is unreadable, has no video track, or ends before `start`.
    """
    images = list(islice(video_frames(path, rate, size, start, end=end), frames))
    images += [images[-1]] * (frames - len(images))
    return np.stack(images)
