"""Decode one track of a media file into an array of exact length and size."""

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.codecs.framing import COVER, Framing
from sensemble_sensors.codecs.tracks import audio_pieces, video_frames


def decode_audio(
    path: Path, rate: float, start: float = 0.0, duration: float | None = None
) -> NDArray[np.float32]:
    """Decode a file's first audio track.

    Args:
        path: any file that FFmpeg reads.
        rate: samples a second (Hz) of the result.
        start: seconds within the file.
        duration: seconds to decode; None for the rest.

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
    framing: Framing = COVER,
) -> NDArray[np.uint8]:
    """Decode `frames` frames of a file's first video track, or of a still picture.

    Args:
        path: any file that FFmpeg reads.
        rate: frames a second of the result.
        frames: number of frames.
        size: (height, width), reached by `framing.fit`.
        start: seconds within the file.
        end: seconds within the file from which on no frame is used; None for the file's end.
        framing: which part of each picture fills the frame.

    Returns:
        uint8 [frames, H, W, 3], RGB: frame i is the one shown at `start + i / rate`; the last is held past
        the end.

    Raises:
        BadDataError: the file is unreadable, has no video track, or ends before `start`.
    """
    images = list(islice(video_frames(path, rate, size, start, end=end, framing=framing), frames))
    images += [images[-1]] * (frames - len(images))
    return np.stack(images)
