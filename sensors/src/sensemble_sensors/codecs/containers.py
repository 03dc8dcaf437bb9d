"""Open a media file of any origin within bounds: no other file is read, no picture is too large."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import av
from av.container import InputContainer
from av.stream import Stream

from sensemble_sensors.errors import BadDataError

_PIXELS = 1 << 25  # of a picture, those of 8K
# Only this file is read: formats that name other files are left out, the network is not used, and `%` in the
# name of an image is not a pattern.
_LISTS = {"concat", "dash", "hls", "imf"}
OPTIONS = {
    "format_whitelist": ",".join(sorted(av.formats_available - _LISTS)),
    "protocol_whitelist": "file",
    "pattern_type": "none",
    # A few bytes may claim any size of a picture, and FFmpeg decodes one to find its form.
    "max_pixels": str(_PIXELS),
}
# Many titles are not in UTF-8; PyAV 18 accepts them only if asked, 19 always.
_PYAV = int(av.__version__.partition(".")[0])
_METADATA: dict[str, Any] = {"metadata_errors": "surrogateescape"} if _PYAV < 19 else {}


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a media file; BadDataError if it is unreadable, no regular file or a playlist, or FFmpeg fails."""
    _check_regular(path)
    try:
        # An address, absolute: a relative name may look like one, such as one in a folder `file:`.
        with av.open(f"file:{path.absolute()}", options=OPTIONS, **_METADATA) as container:
            for stream in container.streams:
                if stream.codec_context is not None:
                    stream.codec_context.options = {"max_pixels": OPTIONS["max_pixels"]}
            yield container
    except av.FFmpegError as error:
        # FFmpeg's errors for a picture that is too large, among others.
        odd = isinstance(error, av.ArgumentError | av.error.OverflowError)
        hint = f", or scale pictures down to {_PIXELS} pixels" if odd else ""
        raise BadDataError(
            f"{path}: cannot be decoded ({error.strerror}); give another file{hint}"
        ) from error


def _check_regular(path: Path) -> None:
    # FFmpeg would wait for a pipe for ever. Only the name is checked: FFmpeg opens the file itself, and tells
    # some formats by the name.
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise BadDataError(f"{path}: cannot be decoded ({error.strerror}); give another file") from error
    if not regular:
        raise BadDataError(f"{path}: cannot be decoded (not a regular file); give another file")


def track_of(path: Path, container: InputContainer, kind: Literal["audio", "video"], name: str) -> Stream:
    """Return the decodable track of a kind with this title, or else the first; BadDataError without one."""
    tracks = [track for track in container.streams if is_track(track, kind)]
    if not tracks:
        raise BadDataError(f"{path}: has no {kind} track")
    return next((track for track in tracks if track.metadata.get("title") == name), tracks[0])


def is_track(stream: Stream, kind: str) -> bool:
    """Return whether a stream is an `audio` or `video` track that FFmpeg can decode."""
    return stream.type == kind and stream.codec_context is not None
