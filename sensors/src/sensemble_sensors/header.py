"""The first line of a segment's `.jsonl`: where it lies in time, and the form of its sound and pictures.

A whole recording is of one form, so that one bundle takes all of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensemble_sensors.spec import InputSpec
from sensemble_sensors.tracks import opened

Form = dict[str, tuple[int, ...]]
"""By modality: of sound its rate (Hz), of pictures their height and width; captions have none."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself.

    Attributes:
        take: which take of the recording it is of.
        start: in seconds of the take.
        end: in seconds of the take.
        rate: of its sound (Hz).
        size: height and width of its pictures; None where it has none.
    """

    take: int
    start: float
    end: float
    rate: int
    size: tuple[int, ...] | None

    @property
    def form(self) -> Form:
        """Its form, also of sound that it has not."""
        return {"audio": (self.rate,)} | ({"video": self.size} if self.size else {})


def read_header(path: Path) -> Header:
    """Read the header of the `.jsonl` at `path`.

    Raises:
        OSError, ValueError, KeyError, TypeError: it cannot be read, or is none.
        BadDataError: its media file cannot be read.
    """
    with path.open("rb") as file:
        header: dict[str, Any] = json.loads(file.readline())
    if "size" not in header:  # it was recorded before headers had it
        header["size"] = _size(path.with_suffix(".mkv"))
    size = header["size"] and tuple(header["size"])
    return Header(header["take"], header["start"], header["end"], header["rate"], size)


def form_of(specs: Mapping[str, InputSpec]) -> Form:
    """Return the form that `specs` ask for."""
    asked: Form = {}
    if "audio" in specs:
        asked["audio"] = (round(specs["audio"].rate),)
    if "video" in specs:
        asked["video"] = specs["video"].shape[2:4]
    return asked


def worded(modality: str, numbers: tuple[int, ...]) -> str:
    """Return the form of a modality in words: `16000 Hz`, `128 x 128`."""
    return " x ".join(map(str, numbers)) + (" Hz" if modality == "audio" else "")


def _size(media: Path) -> tuple[int, ...] | None:
    if not media.exists():
        return None
    with opened(media) as container:
        pictures = container.streams.video
        return (pictures[0].height, pictures[0].width) if pictures else None
