"""Open a media file that anyone may have made: no other file is read for it, and no picture is too large."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import av
from av.container import InputContainer
from av.stream import Stream

from sensemble_sensors.codecs import shards
from sensemble_sensors.errors import BadDataError

_PIXELS = 1 << 26  # of a picture, 8192 x 8192
# A file is read and no other: those formats are left out that name further files, which a dataset could place
# anywhere; nothing is asked of a network; `%` in an image's name is no pattern.
_LISTS = {"concat", "dash", "hls", "imf"}
OPTIONS = {
    "format_whitelist": ",".join(sorted(av.formats_available - _LISTS)),
    "protocol_whitelist": "file,subfile",
    "pattern_type": "none",
    # Of a picture, also where FFmpeg decodes one to learn of its form: a few bytes may claim any size.
    "max_pixels": str(_PIXELS),
}
# Titles are not read here, and many are not in UTF-8. PyAV 18 is told to take them, as 19 always does.
_PYAV = int(av.__version__.partition(".")[0])
_METADATA: dict[str, Any] = {"metadata_errors": "surrogateescape"} if _PYAV < 19 else {}


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a media file, or a member of a shard, for as long as the context lasts.

    Raises:
        BadDataError: it is unreadable, or a list of other files (a playlist); or FFmpeg fails in the context.
    """
    try:
        with av.open(shards.url(str(path)), options=OPTIONS, **_METADATA) as container:
            for stream in container.streams:
                if stream.codec_context is not None:
                    stream.codec_context.options = {"max_pixels": OPTIONS["max_pixels"]}
            yield container
    except av.FFmpegError as error:
        # What FFmpeg says of a picture that is too large.
        odd = isinstance(error, av.ArgumentError | av.error.OverflowError)
        hint = f"; a picture may have {_PIXELS} pixels" if odd else ""
        raise BadDataError(f"{path}: cannot be decoded ({error.strerror}){hint}") from error


def first_track(path: Path, container: InputContainer, modality: Literal["audio", "video"]) -> Stream:
    """Return the first track of a modality that FFmpeg has a decoder for.

    Raises:
        BadDataError: there is none.
    """
    found = next((track for track in container.streams if is_track(track, modality)), None)
    if found is None:
        raise BadDataError(f"{path}: has no {modality} track")
    return found


def is_track(stream: Stream, modality: str) -> bool:
    """Return whether a stream is a track of `modality` that FFmpeg has a decoder for."""
    return stream.type == modality and stream.codec_context is not None
