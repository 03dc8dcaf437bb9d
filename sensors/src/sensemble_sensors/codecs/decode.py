"""Decode one track of a media file into an array of exact length and size."""

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.codecs.framing import COVER, Framing
from sensemble_sensors.codecs.tracks import audio_pieces, video_frames


def decode_audio(
    path: Path, rate: float, start: float = 0.0, duration: float | None = None, name: str = ""
) -> NDArray[np.float32]:
    """Decode a file's audio track `name`, or its first: float32 [n], mono (the mean of channels), in [-1, 1].

    `rate` is that of the result (Hz). `n` is `duration * rate`, or less where the track ends sooner; a
    duration of None takes the rest. Raises BadDataError if the file is unreadable, has no audio or ends
    before `start`.
    """
    count = None if duration is None else round(duration * rate)
    pieces = [np.zeros(0, np.float32)]
    have = 0
    for piece in audio_pieces(path, rate, start, name):
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
    name: str = "",
) -> NDArray[np.uint8]:
    """Decode a file's video track `name` or its first, or a still picture, to uint8 [frames, H, W, 3], RGB.

    Frame i is the one shown at `start + i / rate` seconds; the last is held past `end`, or the file's end.
    Each is fitted to `size` (height, width) by `framing`. Raises BadDataError as `video_frames`.
    """
    shown = video_frames(path, rate, size, start, end=end, framing=framing, name=name)
    images = list(islice(shown, frames))
    images += [images[-1]] * (frames - len(images))
    return np.stack(images)
