"""Read SubRip (.srt) and WebVTT (.vtt) files, strictly."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.lines import opened

_MAX_FILE = 16 << 20  # bytes of a file; a film has some tens of thousands
_MAX_CUE = 1 << 16  # characters of a cue with its markup; a longer text is not a caption
_CLOCK = {
    ".srt": re.compile(r"(\d{2,5}):([0-5]\d):([0-5]\d),(\d{3})", re.ASCII),
    ".vtt": re.compile(r"(?:(\d{2,5}):)?([0-5]\d):([0-5]\d)\.(\d{3})", re.ASCII),
}
# Formatting, which is not part of the text: <i>, <v Anna>, <00:01.000>, and SubRip's {\an8}.
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption on one line, shown from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


def read_subtitles(path: Path) -> list[Cue]:
    """Return the cues of a .srt or .vtt file in order; join the lines of a cue, remove markup.

    Raises BadDataError if it is unreadable, has no cue, or breaks its format ("FILE:LINE: reason").
    """
    kind = path.suffix.lower()
    if kind not in _CLOCK:
        raise BadDataError(f"{path}: is not a subtitle file by its name; name a .srt or .vtt file")
    lines = _lines(path)
    blocks = list(_blocks(lines))
    if kind == ".vtt":
        if not blocks or not re.match(r"WEBVTT([ \t]|$)", blocks[0][1][0]) or blocks[0][0] != 1:
            raise BadDataError(f"{path}:1: a WebVTT file begins with WEBVTT")
        blocks = [block for block in blocks[1:] if not re.match(r"(NOTE|STYLE|REGION)([ \t]|$)", block[1][0])]
    cues: list[Cue] = []
    for number, block in blocks:
        cue = _cue(path, kind, number, block)
        if cues and cue.start < cues[-1].start:
            raise BadDataError(
                f"{path}:{number}: a cue that begins before the one above it; sort them by time"
            )
        cues.append(cue)
    if not cues:
        raise BadDataError(f"{path}: has no cue")
    return cues


def _lines(path: Path) -> list[str]:
    try:
        with opened(path) as file:
            text = file.read(_MAX_FILE + 1)
        if len(text) > _MAX_FILE:
            raise BadDataError(f"{path}: is larger than {_MAX_FILE >> 20} MiB; is this a text?")
        return re.split(r"\r\n|\r|\n", text.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadDataError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, lines) for each run of lines that are not blank."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _cue(path: Path, kind: str, number: int, block: list[str]) -> Cue:
    head = 0 if "-->" in block[0] else 1  # SubRip's number, or WebVTT's optional name, comes first
    if kind == ".srt" and (head == 0 or not block[0].strip().isdecimal()):
        raise BadDataError(f"{path}:{number}: a cue begins with its number")
    at = f"{path}:{number + head}"
    parts = block[head].split() if head < len(block) else []
    times = [_seconds(kind, part) for part in parts[:3:2]]
    if parts[1:2] != ["-->"] or len(times) < 2 or times[0] is None or times[1] is None:
        form = "HH:MM:SS,mmm" if kind == ".srt" else "[HH:]MM:SS.mmm"
        raise BadDataError(f"{at}: must be '{form} --> {form}'")
    if times[1] <= times[0]:
        raise BadDataError(f"{at}: ends before it begins")
    if sum(map(len, block[head + 1 :])) > _MAX_CUE:
        raise BadDataError(f"{at}: a cue longer than {_MAX_CUE} characters; is this a subtitle file?")
    text = " ".join(_MARKUP.sub("", line).strip() for line in block[head + 1 :]).strip()
    if kind == ".vtt":
        text = _unescaped(text, at)
    if not text:
        raise BadDataError(f"{at}: a cue without text")
    return Cue(times[0], times[1], text)


def _unescaped(text: str, at: str) -> str:
    try:
        return html.unescape(text)
    except ValueError as error:  # a number of thousands of digits
        raise BadDataError(f"{at}: names no character ({error})") from error


def _seconds(kind: str, clock: str) -> float | None:
    match = _CLOCK[kind].fullmatch(clock)
    if match is None:
        return None
    hours, minutes, seconds, thousandths = (int(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds + thousandths / 1000
