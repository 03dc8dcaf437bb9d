"""The first line of a segment's `.jsonl`: where it lies in time, and the form of its sound and pictures.

A whole recording is of one form, so that one bundle takes all of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset_paths import Root
from sensemble_sensors.media.lines import LATEST, LONGEST, Fields, opened
from sensemble_sensors.spec import InputSpec

Form = dict[str, tuple[int, ...]]
"""By modality: of sound its rate (Hz), of pictures their height and width; captions have none."""

INDEX, EVENTS, SEGMENTS = "index.jsonl", "events.jsonl", "segments"
SPAN = (
    60.0  # seconds of a segment, which lies in memory until it is over: 224 x 224 at 30 a second are 270 MB
)
RATE, SIDE, TAKES = 1_000_000, 1 << 13, 1_000_000  # more than any of these is a mistake


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


def segment_number(name: str) -> int:
    """Return the number of the segment that is an example of this id.

    Raises:
        BadDataError: a recording gives no such id.
    """
    if not re.fullmatch(r"[0-9]{6,12}", name):
        raise BadDataError(f"id: {name!r} is no segment of a recording, such as '000001'")
    return int(name)


def described(folder: Path, name: str) -> Path:
    """Return the path of the `.jsonl` of a segment.

    Args:
        folder: of the recording.
        name: the id of the example that the segment is.

    Raises:
        BadDataError: there is none inside the folder.
    """
    segment_number(name)
    return Root(folder).file("id", f"{SEGMENTS}/{name}.jsonl")


def read_header(path: Path) -> Header:
    """Read the header of the `.jsonl` at `path`.

    Raises:
        BadDataError: it cannot be read, or is none; names it.
    """
    try:
        with opened(path) as file:
            line = Fields(file.readline(LONGEST + 1))
        start = line.number("start", 0, LATEST)
        end = line.number("end", start, start + SPAN)
        take, rate = line.integer("take", 1, TAKES), line.integer("rate", 1, RATE)
        size = _sides(line)
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror}); copy the recording again") from error
    except BadDataError as error:
        raise BadDataError(f"{path}:1: describes no segment ({error}); copy the recording again") from error
    return Header(take, start, end, rate, size)


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


def _sides(line: Fields) -> tuple[int, ...] | None:
    size = line.values.get("size", ())
    if size is None:
        return None
    sides = size if isinstance(size, list) else []
    if len(sides) != 2 or not all(isinstance(side, int) and 0 < side <= SIDE for side in sides):
        raise BadDataError(f"size: must be height and width, from 1 to {SIDE}")
    return tuple(sides)
