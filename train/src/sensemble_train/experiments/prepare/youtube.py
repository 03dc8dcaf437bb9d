"""Media files that were downloaded from YouTube, found by the video's id."""

import re
from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sensemble_train.experiments.prepare.survey import AUDIO, VIDEO

# Names of downloaders: ID, ID_30, ID_30.000_40.000, ID_30000_40000 (milliseconds), ID_000030_000040, YID.
_NAME = re.compile(r"Y?(?P<id>[\w-]{11})(?:[_.-](?P<start>\d+(?:\.\d+)?)(?:[_-]\d+(?:\.\d+)?)?)?", re.ASCII)
_BARE = re.compile(r"(?P<id>[\w-]{11})(?P<start>)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Download:
    """A file of one video.

    Attributes:
        start: where it was cut from the video, by its name; None if the name does not say.
    """

    path: Path
    start: float | None


class Found(NamedTuple):
    """The files of one segment; `trimmed` if their names say that they hold only the segment."""

    video: Path | None
    audio: Path | None
    info: Path | None
    trimmed: bool


class Downloads:
    """The media files of a folder, by the id of their video.

    A name may be parsed in two ways; only a `wanted` id counts.
    """

    def __init__(self, paths: Iterable[Path], wanted: Container[str]) -> None:
        self._media: dict[str, list[Download]] = defaultdict(list)
        self._info: dict[str, Path] = {}
        for path in paths:
            if path.name.endswith(".info.json"):
                name, into = path.name.removesuffix(".info.json"), None
            elif path.suffix.lower() in VIDEO or path.suffix.lower() in AUDIO:
                name, into = path.stem, self._media
            else:
                continue
            for pattern in (_BARE, _NAME):
                match = pattern.fullmatch(name)
                if match and match["id"] in wanted:
                    if into is None:
                        self._info.setdefault(match["id"], path)
                    else:
                        into[match["id"]].append(
                            Download(path, float(match["start"]) if match["start"] else None)
                        )
                    break

    def find(self, name: str, start: float) -> Found:
        """Return the files found for the segment of video `name` that begins at `start`."""
        at = (None, start, round(start * 1000), int(start))
        fit = [file for file in self._media.get(name, ()) if file.start in at]
        fit.sort(key=lambda file: file.start is None)  # files that name the segment come first
        video = next((file for file in fit if file.path.suffix.lower() in VIDEO), None)
        audio = next((file for file in fit if file.path.suffix.lower() in AUDIO), None)
        first = video or audio
        return Found(
            video.path if video else None,
            audio.path if audio else None,
            self._info.get(name),
            first is not None and first.start is not None,
        )
