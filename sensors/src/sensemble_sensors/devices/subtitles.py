"""Read SubRip (.srt) and WebVTT (.vtt) files through FFmpeg (PyAV)."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.sensor import MAX_CAPTION

# Formatting, which is not part of the text: <i>, <v Anna>, <00:01.000>, and SubRip's {\an8}.
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption on one line, shown from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


def read_subtitles(path: Path) -> list[Cue]:
    """Return the cues of a subtitle file in order; join the lines of a cue, remove markup.

    Raises BadDataError, with file and reason, if it is unreadable or has no cue.
    """
    from sensemble_sensors.codecs.containers import opened

    cues = []
    with opened(path) as container:
        tracks = container.streams.subtitles[:1]
        for packet in container.demux(*tracks) if tracks else ():
            if packet.pts is None or packet.time_base is None:  # the end
                continue
            start, length = (float(each * packet.time_base) for each in (packet.pts, packet.duration or 0))
            said = bytes(packet)[:MAX_CAPTION].decode(errors="replace")
            text = " ".join(_MARKUP.sub("", line).strip() for line in said.splitlines()).strip()
            try:
                text = html.unescape(text) if container.format.name == "webvtt" else text
            except ValueError as error:  # a number of thousands of digits
                raise BadDataError(f"{path}: {start:g} s: names no character ({error})") from error
            if text:
                cues.append(Cue(start, start + length, text))
    if not cues:
        raise BadDataError(f"{path}: has no caption")
    return cues
