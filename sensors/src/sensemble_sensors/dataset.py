"""The data format: a folder with `index.jsonl`, one example a line (DESIGN, "The data format").

A media file may lie inside a shard, a tar in the same folder: `"video": "train-000000.tar#1536+482113"`.
"""

# An index may have millions of lines, and a Path costs several times what it asks of the system.
# ruff: noqa: PTH118
import json
import math
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from sensemble_sensors import shards
from sensemble_sensors.errors import BadDataError

SPLITS = ("pretrain", "train", "eval")
MEDIA = ("video", "audio", "image")
FIELDS = ("id", "split", "labels", *MEDIA, "start", "end", "text")
_KNOWN = frozenset(FIELDS)


@dataclass(frozen=True, slots=True)
class Example:
    """One line of the index.

    Attributes:
        id: unique within the dataset.
        split: `pretrain`, `train` or `eval`.
        labels: the names of its classes; may be empty in `pretrain` only.
        video: the file whose video track to use, by itself or in a shard (`shards`); the same file may be
            named by `audio`.
        audio: the file whose audio track to use.
        image: a still picture, instead of a video.
        text: the caption.
        start: seconds within the media files at which the example begins; None for their beginning.
        end: seconds within the media files at which it ends; None for their end.
        line: its line in `index.jsonl`, from 1.
    """

    id: str
    split: str
    labels: tuple[str, ...]
    video: Path | None
    audio: Path | None
    image: Path | None
    text: str | None
    start: float | None
    end: float | None
    line: int

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that this example has, sorted; an image counts as `video`."""
        has = {
            "audio": self.audio is not None,
            "text": self.text is not None,
            "video": self.video is not None or self.image is not None,
        }
        return tuple(modality for modality, present in has.items() if present)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of one folder, in the order of its index.

    Attributes:
        folder: where `index.jsonl` lies.
        examples: the good lines.
        skipped: "FILE:LINE: reason" of each bad line, when bad lines are skipped.
    """

    folder: Path
    examples: tuple[Example, ...]
    skipped: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[Example, ...]:
        """Return the examples of `pretrain`, `train` or `eval`, in order."""
        return tuple(example for example in self.examples if example.split == name)


def read_dataset(folder: Path, *, skip_bad: bool = False) -> Dataset:
    """Read and check `folder/index.jsonl`; media files must exist, but are not opened.

    A last line that breaks off, as a power cut leaves it to who appends, is no example yet: it is left out,
    and told in `Dataset.skipped`.

    Args:
        folder: the dataset.
        skip_bad: leave bad lines out and tell them in `Dataset.skipped`, instead of raising at the first.

    Raises:
        BadDataError: there is no index, no example, or a bad line ("FILE:LINE: reason").
    """
    index = folder / "index.jsonl"
    root = _Root(folder)
    examples: dict[str, Example] = {}
    skipped: list[str] = []
    try:
        with index.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.isspace():
                    continue
                try:
                    example = _example(_Line(line), root, number)
                    _check_new(example, examples)
                except BadDataError as error:
                    reason = f"{index}:{number}: {error}"
                    broken_off = line[-1:] not in b"\n}"
                    if not skip_bad and not broken_off:
                        raise BadDataError(reason) from error
                    skipped.append(reason)
                else:
                    examples[example.id] = example
    except OSError as error:
        raise BadDataError(
            f"{index}: cannot be read ({error.strerror}); a dataset is a folder with this file"
        ) from error
    if not examples:
        raise BadDataError(
            f"{index}: no good example" + (f"; the first bad line is {skipped[0]}" if skipped else "")
        )
    return Dataset(folder, tuple(examples.values()), tuple(skipped))


def _check_new(example: Example, examples: dict[str, Example]) -> None:
    if example.id in examples:
        raise BadDataError(f"id: {example.id!r} is already that of line {examples[example.id].line}")


class _Root:
    """A dataset's folder, and where the files in it really are; each folder and shard is looked up once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._real = os.path.join(os.path.realpath(folder), "")
        self._folders: dict[str, str] = {}
        self._shards: dict[str, int] = {}  # those that are there, and their bytes
        self._last = "", folder

    def file(self, name: str, relative: str) -> Path:
        """Return the path of the file that the field `name` names, which is there and inside the folder."""
        known, path = self._last  # the video is often the audio, too
        if known != relative:
            inside = shards.parse(relative)
            if inside is None:
                self._check(name, relative)
            else:
                self._check_inside(name, *inside)
            path = self._folder / relative
            self._last = relative, path
        return path

    def _check_inside(self, name: str, shard: str, offset: int, size: int) -> None:
        if shard not in self._shards:
            self._shards[shard] = self._check(name, shard)
        if self._shards[shard] < offset + size:
            raise BadDataError(f"{name}: {shard!r} is cut short: it has no {size} bytes at {offset}")

    def _check(self, name: str, relative: str) -> int:
        """Follow every link to a file, and return its size in bytes."""
        parent, _, own = relative.rpartition("/")
        if relative.startswith("/") or ".." in relative.split("/") or "\0" in relative:
            raise BadDataError(
                f"{name}: {relative!r} must be a path relative to the dataset's folder, inside it"
            )
        if parent not in self._folders:
            self._folders[parent] = os.path.realpath(os.path.join(self._real, parent))
        target = f"{self._folders[parent]}/{own}"
        try:
            found = os.lstat(target)
            if stat.S_ISLNK(found.st_mode):
                target = os.path.realpath(target)
                found = os.lstat(target)
        except (OSError, ValueError):
            found = None
        if not target.startswith(self._real):
            raise BadDataError(f"{name}: {relative!r} is a link that leaves the dataset's folder")
        if found is None or not stat.S_ISREG(found.st_mode):
            raise BadDataError(f"{name}: there is no file {relative!r}")
        return found.st_size


class _Line:
    """One parsed line, whose fields are checked as they are taken; `null` is the same as absent."""

    def __init__(self, line: bytes) -> None:
        try:
            fields = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            raise BadDataError(f"not JSON in UTF-8 ({error})") from error
        if not isinstance(fields, dict):
            raise BadDataError("not a JSON object")
        unknown = next((name for name in fields if name not in _KNOWN), None)
        if unknown is not None:
            raise BadDataError(f"{unknown}: unknown field; the format has {', '.join(FIELDS)}")
        self.fields: dict[str, object] = fields

    def text(self, name: str) -> str | None:
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise BadDataError(f"{name}: must be a string that is not blank")
        return value

    def seconds(self, name: str) -> float | None:
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise BadDataError(f"{name}: must be a number of seconds, 0 or more")
        return float(value)

    def labels(self) -> tuple[str, ...]:
        value = self.fields.get("labels")
        names = value if isinstance(value, list) else [None]
        if value is None:
            return ()
        if not all(isinstance(name, str) and name.strip() for name in names) or len(set(names)) < len(names):
            raise BadDataError("labels: must be a list of names, each once")
        return tuple(map(sys.intern, names))

    def file(self, name: str, root: _Root) -> Path | None:
        relative = self.text(name)
        return None if relative is None else root.file(name, relative)


def _example(line: _Line, root: _Root, number: int) -> Example:
    name, split, labels = line.text("id"), line.text("split"), line.labels()
    if name is None:
        raise BadDataError("id: is missing")
    if split not in SPLITS:
        raise BadDataError(f"split: must be one of {', '.join(SPLITS)}")
    if not labels and split != "pretrain":
        raise BadDataError(f"labels: a {split} example needs at least one")
    video, audio, image = (line.file(kind, root) for kind in MEDIA)
    text, start, end = line.text("text"), line.seconds("start"), line.seconds("end")
    if video is not None and image is not None:
        raise BadDataError("image: an example has either a video or an image")
    if end is not None and end <= (start or 0.0):
        raise BadDataError("end: must be after start")
    example = Example(name, sys.intern(split), labels, video, audio, image, text, start, end, number)
    if text is None and not (video or audio or image):
        raise BadDataError(f"names none of {', '.join(MEDIA)}, text")
    return example
