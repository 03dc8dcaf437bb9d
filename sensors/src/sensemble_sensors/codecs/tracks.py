"""Read a track of a media file, from any time on, as a stream or as an array (PyAV, which is FFmpeg).

Times are seconds from the file's earliest timestamp (or 0, where a codec's priming lies before it), so video
and audio stay aligned. A track is the one called `name`, or else the first of its kind. Every function raises
BadDataError if the file is unreadable, and the decoding ones if it has no such track or ends before `start`.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from sensemble_sensors.codecs.containers import OPTIONS, is_track, opened, track_of
from sensemble_sensors.codecs.framing import COVER, Framing, fit
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.spec import HIGHEST_RATE

# Seconds of audio that are decoded before the start: lossy codecs and the resampler need a past.
_PREROLL = 1.0
# Seconds that a frame must be late for a hole in the track; less is rounding of the container.
_HOLE = 0.02

# Seconds of sound in a piece; a codec's own frames are shorter and cost more to handle.
_PIECE = 0.25

# FFmpeg's name of 16-bit sound. At its own rate it needs no filter, which takes longer to set up than a
# second of sound to decode.
_PLAIN = "s16"

# Pixels of a picture that is fitted whole, those of 4K; a larger one would take many times its own memory.
_WHOLE = 1 << 23

# Codecs that can decode a picture of half the sides, tried; another one may give nonsense if asked.
_HALVING = {"jpeg2000", "mjpeg", "mpeg2video", "mpeg4"}

_GREY = ("gray", "gray16le", "gray16be")  # FFmpeg's names of pictures of one channel

Frame = TypeVar("Frame", av.AudioFrame, av.VideoFrame)


@dataclass(frozen=True, slots=True)
class Probe:
    """Properties of a media file."""

    modalities: tuple[str, ...]  # the kinds of its tracks, of `audio` and `video`
    seconds: float  # its length; 0 for a still picture
    rate: float  # mean frames a second (Hz) of its first video track; 0 if it has none or does not say


def probe(path: Path) -> Probe:
    """Return the properties of a media file without decoding it."""
    with opened(path) as container:
        rate = container.streams.video[0].average_rate if container.streams.video else None
        return Probe(_track_types(container), _seconds(container), float(rate or 0))


def track_titles(path: Path) -> dict[str, set[str]]:
    """Return the titles of a file's `audio` and `video` tracks, without ever reading it to its end."""
    with opened(path) as container:
        return {
            kind: {track.metadata.get("title", "") for track in container.streams if is_track(track, kind)}
            for kind in _track_types(container)
        }


def frame_size(path: Path) -> tuple[int, int]:
    """Return the (height, width) of a film or a still picture, upright."""
    for _, frame in decoded(path, av.VideoFrame):
        return (frame.width, frame.height) if frame.rotation % 180 else (frame.height, frame.width)
    raise BadDataError(f"{path}: its video track holds no picture")


def audio_pieces(
    path: Path, rate: float, start: float = 0.0, name: str = ""
) -> Iterator[NDArray[np.float32]]:
    """Yield an audio track from `start` (seconds) to its end in pieces, resampled to `rate` (Hz).

    A piece is float32 [n], mono (the mean of the channels), in [-1, 1]; holes in the track are silence.
    """
    skip = 0  # samples that lie before `start`
    for piece in _sound(path, rate, start, name):
        if isinstance(piece, int):
            silence, skip = max(piece - skip, 0), max(skip - piece, 0)
            size = round(_PIECE * rate)
            yield from (np.zeros(min(silence - at, size), np.float32) for at in range(0, silence, size))
        else:
            yield piece[skip:]
            skip = max(skip - len(piece), 0)


def decode_audio(
    path: Path, rate: float, start: float = 0.0, duration: float | None = None, name: str = ""
) -> NDArray[np.float32]:
    """Decode an audio track to float32 [n], mono (the mean of channels), in [-1, 1], at `rate` (Hz).

    `n` is `duration * rate`, or less where the track ends sooner; a duration of None takes the rest.
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


def _sound(path: Path, rate: float, start: float, name: str) -> Iterator[NDArray[np.float32] | int]:
    """Yield sound, and a number of samples for each hole; the first is from `start`, and may be negative."""
    resampler: av.AudioResampler | None = None
    begun: tuple[str, int, str] | None = None  # the form of the frames since the last hole
    due = start  # when the next frame begins if the track has no hole
    for time, frame in decoded(path, av.AudioFrame, start, _PREROLL, name):
        hole = round((time - due) * rate)
        form = frame.format.name, frame.sample_rate, frame.layout.name
        if begun is None or hole > _HOLE * rate:
            yield from _resampled(path, resampler, None)
            yield hole
            if frame.sample_rate > HIGHEST_RATE:  # the resampler's filter would take memory without bound
                raise BadDataError(
                    f"{path}: its sound claims {frame.sample_rate} samples a second, above {HIGHEST_RATE}; "
                    "resample it"
                )
            resampler, begun, due = None, form, time
            if form[:2] != (_PLAIN, round(rate)):
                # Not "fltp": PyAV reads past the end of the planes of eight channels or more.
                resampler = av.AudioResampler(format="flt", rate=round(rate), frame_size=round(_PIECE * rate))
        elif form != begun:
            raise BadDataError(f"{path}: its audio changes its form midway; write it again in one form")
        yield from _resampled(path, resampler, frame)
        due += frame.samples / frame.sample_rate
    if begun is None:
        raise BadDataError(f"{path}: its audio track holds no sound")
    yield from _resampled(path, resampler, None)


def video_frames(
    path: Path,
    rate: float,
    size: tuple[int, int],
    start: float = 0.0,
    *,
    end: float | None = None,
    framing: Framing = COVER,
    name: str = "",
    grey: bool = False,
) -> Iterator[NDArray[Any]]:
    """Yield the picture of a video track, or a still one, at `start + i / rate`.

    Each is uint8 [H, W, 3], RGB, or if `grey` uint16 [H, W, 1], the file's own numbers of 8 or 16 bits. It is
    fitted to `size` (height, width) by `framing`; there is at least one, and the first frame also stands for
    the time before it. No frame from `end` on is used. The file's timestamps count, not its own rate. Raises
    BadDataError for a track without pictures, or with pictures of another form.
    """
    converter = VideoReformatter()
    count = 0
    frame: av.VideoFrame | None = None
    for frame, until in _shown(path, start, end, name):
        image: NDArray[Any] | None = None
        while start + count / rate < until:
            if image is None:
                image = fit(_image(path, frame, converter, grey=grey), size, framing)
            yield image
            count += 1
    if frame is None:
        raise BadDataError(f"{path}: its video track holds no picture")
    if count == 0:
        yield fit(_image(path, frame, converter, grey=grey), size, framing)


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
    grey: bool = False,
) -> NDArray[Any]:
    """Decode a video track, or a still picture, to [frames, H, W, C], as `video_frames`; the last is held."""
    shown = video_frames(path, rate, size, start, end=end, framing=framing, name=name, grey=grey)
    images = list(islice(shown, frames))
    images += [images[-1]] * (frames - len(images))
    return np.stack(images)


def _shown(path: Path, start: float, end: float | None, name: str) -> Iterator[tuple[av.VideoFrame, float]]:
    """Yield each frame from the one shown at `start`, with the time at which the next one is shown."""
    shown: av.VideoFrame | None = None
    until = 0.0
    for time, frame in decoded(path, av.VideoFrame, start, name=name):
        tick = float(frame.time_base or 0)
        # A container rounds times to its tick (1 ms in Matroska), so a frame counts as half a tick early.
        begin = time - min(tick / 2, 0.0005) - 1e-6
        if shown is not None:
            if end is not None and begin + 1e-6 >= end:
                break
            yield shown, begin
        shown, until = frame, begin + frame.duration * tick
    if shown is not None:
        yield shown, until if end is None else min(until, end)


def decoded(
    path: Path, kind: type[Frame], start: float = 0.0, preroll: float = 0.0, name: str = ""
) -> Iterator[tuple[float, Frame]]:
    """Yield (seconds, frame) of a track, from `start - preroll` or sooner to its end."""
    for origin in (max(start - preroll, 0.0), 0.0):
        with opened(path) as container:
            track = track_of(path, container, "audio" if kind is av.AudioFrame else "video", name)
            seconds = _length(container)
            if seconds is not None and 0 < seconds <= start:
                raise BadDataError(f"{path}: lasts {seconds:g} s, so nothing starts at {start:g} s")
            zero = _zero(container)
            # With small clips, starting threads takes longer than decoding.
            track.codec_context.thread_count = 1
            if isinstance(track, av.VideoStream) and track.codec_context.name in _HALVING:
                track.codec_context.options = {**OPTIONS, "lowres": str(_halvings(track))}
            if origin > 0:
                # A file that cannot be seeked in is read from its beginning: slower, with the same frames.
                with suppress(av.FFmpegError):
                    container.seek(int((origin + zero) * av.time_base))
            frames = (
                (_time(path, frame) - zero, frame)
                for frame in _frames(container, track)
                if isinstance(frame, kind)
            )
            first = list(islice(frames, 1))
            if origin > 0 and (not first or first[0][0] > start):
                continue  # the seek went too far: start again from the beginning
            while first:
                yield first.pop()  # not held any longer: it may be large
            yield from frames
            return


def _frames(container: InputContainer, track: Stream) -> Iterable[Any]:
    """Decode a track; FFmpeg's own decoders of VP8 and VP9 would leave its alpha out."""
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(track.codec_context.name)
    tags = {key.lower(): value for key, value in track.metadata.items()}  # FFmpeg itself writes both cases
    if not name or tags.get("alpha_mode") != "1":
        return container.decode(track)
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.options = {"max_pixels": OPTIONS["max_pixels"]}
    return chain.from_iterable(decoder.decode(packet) for packet in container.demux(track))


def _halvings(track: av.VideoStream) -> int:
    """Return how often to halve the sides of a track's pictures, for `_WHOLE` pixels; 3 times at most."""
    pixels = track.codec_context.width * track.codec_context.height
    return next((n for n in range(3) if pixels >> 2 * n <= _WHOLE), 3)


def _track_types(container: InputContainer) -> tuple[str, ...]:
    names = ("audio", "video")
    return tuple(name for name in names if any(is_track(track, name) for track in container.streams))


def _zero(container: InputContainer) -> float:
    return max(container.start_time or 0, 0) / av.time_base


def _seconds(container: InputContainer) -> float:
    known = _length(container)
    if known is not None:
        return known
    ends = (
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in container.demux()
        if packet.pts is not None and packet.time_base
    )
    return max(ends, default=0.0) - _zero(container)


def _length(container: InputContainer) -> float | None:
    if container.duration is None:
        return None
    begin = container.start_time or 0
    shift = min(begin, 0)
    if container.format.name.startswith("matroska") and container.duration > begin:
        shift = -abs(begin)  # it states its end, where others state their length
    return (container.duration + shift) / av.time_base


def _time(path: Path, frame: av.AudioFrame | av.VideoFrame) -> float:
    if frame.time is not None:
        return frame.time
    if frame.dts is None or not frame.time_base:
        raise BadDataError(f"{path}: has frames without a time; put it into a container such as Matroska")
    return float(frame.dts * frame.time_base)


def _image(path: Path, frame: av.VideoFrame, converter: VideoReformatter, *, grey: bool) -> NDArray[Any]:
    image: NDArray[Any]
    if not grey:
        shown = _on_white(frame, converter) if _may_be_clear(frame.format) else frame
        image = _reduced(shown, converter, "rgb24").to_ndarray()
    elif frame.format.name in _GREY:
        image = _reduced(frame, converter, frame.format.name).to_ndarray().astype(np.uint16)[..., None]
    else:
        raise BadDataError(
            f"{path}: its pictures are {frame.format.name}, of which {' or '.join(_GREY)} is one channel"
        )
    return np.rot90(image, frame.rotation // 90)


def _on_white(frame: av.VideoFrame, converter: VideoReformatter) -> av.VideoFrame:
    """Return a picture as a browser shows it: what is clear may hide any colour."""
    image: NDArray[Any] = converter.reformat(frame, format="rgba", threads=1).to_ndarray()
    if not image[..., 3].any():  # 32-bit films leave it 0
        return frame
    for rows in np.array_split(image, math.ceil(image.size / _WHOLE)):  # whole, it takes twice the memory
        colours, alpha = rows[..., :3], rows[..., 3:].astype(np.uint16)
        rows[..., :3] = (colours * alpha + 255 * (255 - alpha) + 127) // 255
    return av.VideoFrame.from_ndarray(image, format="rgba")


def _may_be_clear(form: av.VideoFormat) -> bool:
    """Return whether pictures of a pixel format may be transparent."""
    return form.name == "pal8" or any(component.is_alpha for component in form.components)


def _reduced(frame: av.VideoFrame, converter: VideoReformatter, form: str) -> av.VideoFrame:
    """Return a picture in a pixel format, a larger one than `_WHOLE` reduced by an integer."""
    times = math.ceil(math.sqrt(frame.width * frame.height / _WHOLE))
    if times == 1:
        return converter.reformat(frame, format=form, threads=1)
    width, height = (max(1, side // times) for side in (frame.width, frame.height))
    return converter.reformat(frame, width, height, form, interpolation="AREA", threads=1)


def _resampled(
    path: Path, resampler: av.AudioResampler | None, frame: av.AudioFrame | None
) -> list[NDArray[np.float32]]:
    """Resample one frame, or the rest (None), to mono, clipped to [-1, 1], which a lossy codec may exceed.

    Without a resampler, the frame is 16-bit sound of the right rate.
    """
    try:
        frames = resampler.resample(frame) if resampler else [frame] if frame else []
    except av.FFmpegError as error:
        raise BadDataError(f"{path}: its audio cannot be resampled ({error.strerror})") from error
    samples = (
        np.asarray(piece.to_ndarray(), np.float32).reshape(-1, piece.layout.nb_channels)
        / np.float32(1 if resampler else 1 << 15)
        for piece in frames
    )
    # Channel by channel: the mean of neighbours in memory takes NumPy seven times as long.
    mono = [np.ascontiguousarray(piece.T).mean(axis=0) for piece in samples]
    if not all(np.isfinite(piece).all() for piece in mono):
        raise BadDataError(f"{path}: its sound holds NaN or infinity; write it again as 16-bit numbers")
    return [np.asarray(np.clip(piece, -1, 1), np.float32) for piece in mono]
