"""Decode media files into windows: the one path by which training, audit and runtime see them."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.frames import COVER, Framing
from sensemble_sensors.media.tracks import audio_pieces, probe, video_frames
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import InputSpec


@dataclass(frozen=True, slots=True)
class Sampling:
    """How `clip` takes a window out of a longer example.

    Attributes:
        stride: frames of the file from one sampled frame to the next (Table 6 of the paper: 32), so that the
            window lasts (T - 1) strides, though never longer than the sound's; None: as far apart as the
            spec's rate says, and the window lasts as long as the spec's.
        zoom: the least and the greatest `Framing.zoom`. The paper's short sides (Sec. 5) are
            (256 / 224, 320 / 224).
        centred: whether the crop is the centre even where it would be drawn (App. E, ImageNet-Captions).
    """

    stride: int | None = None
    zoom: tuple[float, float] = (1.0, 1.0)
    centred: bool = False


PLAIN = Sampling()


def clip(
    example: Example,
    specs: Mapping[str, InputSpec],
    sampling: Sampling = PLAIN,
    draw: np.random.Generator | None = None,
    *,
    only: Collection[str] | None = None,
) -> dict[str, Media]:
    """Decode one window of `example`, in which sound and picture are of the same seconds.

    With a stride, sound begins at the first sampled frame and ends at the last (App. E), whether the frames
    are decoded or not.

    Args:
        example: what to decode; modalities that it or `specs` lacks, and text, are left out.
        specs: the inputs of all of the model's encoders, which the window depends on.
        sampling: how the window is taken.
        draw: draws where the window lies, its zoom and its crop, as in training; None for the middle, the
            least zoom and the centre.
        only: the modalities to decode; None for all of `specs`.

    Returns:
        Modality -> array of exactly the spec's shape, as `window` gives it.

    Raises:
        BadDataError: a file is unreadable, has no such track, or lasts no time.
    """
    wanted = [m for m in example.modalities if m in specs and m != "text" and (only is None or m in only)]
    timed = [m for m in wanted if m == "audio" or example.image is None]
    step = span = whole = 0.0
    if timed:
        found = {path: probe(path) for path in (example.video, example.audio) if path is not None}
        # Where one of two files is over, they are no longer of the same seconds.
        over = min(file.seconds for file in found.values())
        whole = min(over, math.inf if example.end is None else example.end) - (example.start or 0.0)
        if over <= 0:
            raise BadDataError(f"{example.video or example.audio}: lasts no time")
        rate = found[example.video].rate if example.video is not None else 0.0
        step, span = _steps(rate, specs, sampling)
    room = max(whole - span, 0.0)
    # All is drawn in any case, so that an example's crop does not depend on which modalities are decoded.
    place, zoom, down, right = (0.5, 0.0, 0.5, 0.5) if draw is None else draw.random(4)
    at = room * place
    least, greatest = sampling.zoom
    if sampling.centred:
        down = right = 0.5
    framing = Framing(least + zoom * (greatest - least), down, right)
    decoded: dict[str, Media] = {}
    for m in wanted:
        if m == "audio":
            decoded[m] = _sound(example, specs[m], at, span)
        else:
            decoded[m] = _pictures(example, specs[m], at, framing, 1 / step if step else None)
    return decoded


def _steps(rate: float, specs: Mapping[str, InputSpec], sampling: Sampling) -> tuple[float, float]:
    """Return the seconds from one sampled frame to the next (0: as the spec says), and those of a window."""
    longest = max(spec.window for spec in specs.values())
    frames = specs["video"].shape[1] if "video" in specs else 0
    if sampling.stride is None or frames < 2 or rate <= 0:
        return 0.0, longest
    step = min(sampling.stride / rate, longest / (frames - 1))
    return step, step * (frames - 1)


def window(example: Example, spec: InputSpec) -> Media:
    """Return what an encoder sees of `example`.

    Args:
        example: has the spec's modality.
        spec: of `audio` or `video`.

    Returns:
        An array of exactly `spec.shape`. Audio float32 [1, S]: zeros past the example's end. Video uint8
        [1, T, H, W, 3]: frame i is the one shown `i / rate` after the example's start; the last is held past
        its end; an image is repeated.

    Raises:
        BadDataError: a file is unreadable, has no such track, or ends before the example's start.
    """
    if spec.modality == "audio" and example.audio is not None:
        return _sound(example, spec, 0.0, spec.shape[1] / spec.rate)
    if spec.modality == "video" and (example.image is not None or example.video is not None):
        return _pictures(example, spec, 0.0, COVER, None)
    raise BadDataError(f"example {example.id!r} (line {example.line}) has no {spec.modality} to decode")


def _sound(example: Example, spec: InputSpec, at: float, seconds: float) -> NDArray[np.float32]:
    """Decode at most `seconds` of an example's sound into [1, S]; what is missing is silence."""
    assert example.audio is not None  # noqa: S101 - the callers have looked
    count, start = spec.shape[1], (example.start or 0.0) + at
    if example.end is not None:
        seconds = max(min(seconds, example.end - start), 0.0)
    wave = decode_audio(example.audio, spec.rate, start, min(seconds, count / spec.rate))
    return np.pad(wave, (0, count - len(wave)))[None]


def _pictures(
    example: Example, spec: InputSpec, at: float, framing: Framing, rate: float | None
) -> NDArray[np.uint8]:
    """Decode an example's frames, `rate` a second, or as many as the spec says, into [1, T, H, W, 3]."""
    _, count, height, width, _ = spec.shape
    if example.image is not None:
        return decode_video(example.image, spec.rate, count, (height, width), framing=framing)[None]
    assert example.video is not None  # noqa: S101 - the callers have looked
    start = (example.start or 0.0) + at
    return decode_video(
        example.video, rate or spec.rate, count, (height, width), start, end=example.end, framing=framing
    )[None]


def check(example: Example) -> None:
    """Open each file of `example` and decode its beginning.

    Raises:
        BadDataError: a file is unreadable, has no such track, or lasts no time.
    """
    start, size = example.start or 0.0, (16, 16)
    if example.image is not None:
        decode_video(example.image, 1.0, 1, size)
    elif (example.video or example.audio) is not None and duration(example) <= 0:
        raise BadDataError(f"{example.video or example.audio}: lasts no time")
    if example.video is not None:
        decode_video(example.video, 1.0, 1, size, start, end=example.end)
    if example.audio is not None:
        decode_audio(example.audio, 16000, start, 0.1)


def duration(example: Example) -> float:
    """Return how many seconds of media `example` has: to its `end`, or to that of its longer file if sooner.

    Raises:
        BadDataError: a file is unreadable.
    """
    files = {path for path in (example.video, example.audio) if path is not None}
    start, end = example.start or 0.0, math.inf if example.end is None else example.end
    return max((min(probe(path).seconds, end) - start for path in files), default=0.0)


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
    framing: Framing = COVER,
) -> NDArray[np.uint8]:
    """Decode `frames` frames of a file's first video track, or of a still picture.

    Args:
        path: any file that FFmpeg reads.
        rate: frames a second of the result, whatever the file's.
        frames: how many.
        size: (height, width), reached by `frames.fit`.
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
