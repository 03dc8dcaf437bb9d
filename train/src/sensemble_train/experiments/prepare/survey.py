"""A survey of a published dataset: the examples that it lists, and their media on this disk."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.splits import Groups

VIDEO = frozenset(
    (".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv", ".3gp", ".m4v", ".mpg", ".mpeg", ".ts", ".ogv")
)
AUDIO = frozenset((".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".aac"))


@dataclass(frozen=True, slots=True)
class Row:
    """An example that a dataset lists.

    Attributes:
        id: unique in the dataset; also its name in a shard, so it has no dot.
        origin: "FILE:LINE" that lists it.
        text: its caption, from a table of titles or from the list itself.
        video: the file of its pictures, and of its sound without `audio`; None if it is not on this disk.
        audio: a separate file of its sound.
        info: yt-dlp's description, which has its title.
        start: its beginning in the published video, in seconds; None for a picture.
        end: its end in the published video, in seconds.
        trimmed: whether the files are known to hold only the segment.
        group: the video that it is cut from, which must not be in two splits.
    """

    id: str
    split: str
    labels: tuple[str, ...]
    origin: str
    text: str | None = None
    video: Path | None = None
    audio: Path | None = None
    image: Path | None = None
    info: Path | None = None
    start: float | None = None
    end: float | None = None
    trimmed: bool = False
    group: str | None = None

    @property
    def here(self) -> bool:
        """True if any of its media is on this disk."""
        return any(path is not None for path in (self.video, self.audio, self.image))


@dataclass(frozen=True, slots=True)
class Survey:
    """The examples of a dataset as its lists have them.

    Attributes:
        rows: the good ones, whether their media is here or not.
        bad: "FILE:LINE: reason" of each bad one.
        note: a remark for readers of the counts.
    """

    dataset: str
    source: Path
    rows: tuple[Row, ...]
    bad: tuple[str, ...]
    note: str = ""

    @property
    def listed(self) -> Counter[str]:
        """The number of examples of each split."""
        return Counter(row.split for row in self.rows)

    @property
    def here(self) -> Counter[str]:
        """The number of examples of each split with media on this disk."""
        return Counter(row.split for row in self.rows if row.here)

    @property
    def missing(self) -> list[Row]:
        """The rows without media on this disk."""
        return [row for row in self.rows if not row.here]


def fingerprint(rows: Iterable[Row]) -> str:
    """Return a hash of rows and of the state of their files, which changes with either."""
    files = ((row, [_state(path) for path in (row.video, row.audio, row.image, row.info)]) for row in rows)
    return hashlib.sha256("\n".join(map(repr, files)).encode()).hexdigest()


def _state(path: Path | None) -> tuple[int, int] | None:
    try:
        status = path.stat() if path is not None else None
    except OSError:  # reported when the file is inspected
        return None
    return status and (status.st_size, status.st_mtime_ns)


def collect(dataset: str, source: Path, rows: Iterable[Row | str], note: str = "") -> Survey:
    """Separate rows from the "FILE:LINE: reason" of bad ones.

    A second row with the same id is bad, and so is one whose group is in another split.
    """
    good: dict[str, Row] = {}
    groups = Groups()
    bad: list[str] = []
    for row in rows:
        if isinstance(row, str):
            bad.append(row)
        elif row.id in good:
            bad.append(f"{row.origin}: {row.id!r} is already listed at {good[row.id].origin}")
        else:
            try:
                if row.group is not None:
                    groups.add(row.group, row.split, row.origin)
            except BadDataError as error:
                bad.append(f"{row.origin}: {error}")
            else:
                good[row.id] = row
    return Survey(dataset, source, tuple(good.values()), tuple(bad), note)


def files(source: Path, but: Path) -> Iterator[Path]:
    """Yield the full path of every file under `source`, in a fixed order, except those under `but`.

    Links to folders are followed, but each folder is visited once: links may form a circle.
    """
    met = {but.resolve()} - {source.resolve()}
    for folder, inner, names in os.walk(source.resolve(), followlinks=True):
        real = Path(folder).resolve()
        if real in met:
            inner.clear()
            continue
        met.add(real)
        inner.sort()
        for name in sorted(names):
            yield Path(folder, name)


def entries(path: Path) -> TextIO:
    """Open a list for reading by line; a line that is not UTF-8 is `garbled` instead of an error."""
    return path.open(encoding="utf-8", errors="surrogateescape", newline="")


def garbled(text: str) -> bool:
    """Return whether text read from `entries` is not in UTF-8."""
    return any("\udc80" <= letter <= "\udcff" for letter in text)
