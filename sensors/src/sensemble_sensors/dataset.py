"""The data format: a folder with `index.jsonl`, one example a line (DESIGN, "The data format").

A media file may lie inside a shard, a tar in the same folder: `"video": "train-000000.tar#1536+482113"`.
"""

# An index may have millions of lines, and a Path costs several times what it asks of the system.
# ruff: noqa: PTH113, PTH114, PTH118, PTH202
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sensemble_sensors import shards
from sensemble_sensors.errors import BadDataError

SPLITS = ("pretrain", "train", "eval")
MEDIA = ("video", "audio", "image")
FIELDS = ("id", "split", "labels", *MEDIA, "start", "end", "text")


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

    Args:
        folder: the dataset.
        skip_bad: leave bad lines out and tell them in `Dataset.skipped`, instead of raising at the first.

    Raises:
        BadDataError: there is no index, no example, or a bad line ("FILE:LINE: reason").
    """
    index = folder / "index.jsonl"
    try:
        lines = index.read_bytes().splitlines()
    except OSError as error:
        raise BadDataError(
            f"{index}: cannot be read ({error.strerror}); a dataset is a folder with this file"
        ) from error
    root = _Root(folder)
    examples: dict[str, Example] = {}
    skipped: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            example = _example(_Line(line), root, folder, number)
            _check_new(example, examples)
        except BadDataError as error:
            reason = f"{index}:{number}: {error}"
            if not skip_bad:
                raise BadDataError(reason) from error
            skipped.append(reason)
        else:
            examples[example.id] = example
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
        self.path = os.path.realpath(folder)
        self.shards: dict[str, int] = {}  # those that were found to lie in the folder, and their bytes
        self._folders: dict[PurePosixPath, str] = {}

    def locate(self, path: PurePosixPath) -> str:
        """Return the real place of `path`, relative to the folder, with every link followed."""
        parent = path.parent
        if parent not in self._folders:
            self._folders[parent] = os.path.realpath(os.path.join(self.path, parent))
        target = os.path.join(self._folders[parent], path.name)
        return os.path.realpath(target) if os.path.islink(target) else target


class _Line:
    """One parsed line, whose fields are checked as they are taken; `null` is the same as absent."""

    def __init__(self, line: bytes) -> None:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadDataError(f"not JSON in UTF-8 ({error})") from error
        if not isinstance(fields, dict):
            raise BadDataError("not a JSON object")
        for name in fields:
            if name not in FIELDS:
                raise BadDataError(f"{name}: unknown field; the format has {', '.join(FIELDS)}")
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
        return tuple(names)

    def file(self, name: str, root: "_Root", folder: Path) -> Path | None:
        relative = self.text(name)
        if relative is None:
            return None
        inside = shards.parse(relative)
        place = inside[0] if inside else relative
        if place not in root.shards:
            path = PurePosixPath(place)
            if path.is_absolute() or ".." in path.parts or "\0" in place:
                raise BadDataError(
                    f"{name}: {relative!r} must be a path relative to the dataset's folder, inside it"
                )
            target = root.locate(path)
            if target != root.path and not target.startswith(os.path.join(root.path, "")):
                raise BadDataError(f"{name}: {relative!r} is a link that leaves the dataset's folder")
            if not os.path.isfile(target):
                raise BadDataError(f"{name}: there is no file {place!r}")
            if inside:
                root.shards[place] = os.path.getsize(target)
        if inside and root.shards[place] < inside[1] + inside[2]:
            raise BadDataError(f"{name}: {place!r} is cut short: it has no {inside[2]} bytes at {inside[1]}")
        return folder / relative


def _example(line: _Line, root: "_Root", folder: Path, number: int) -> Example:
    name, split, labels = line.text("id"), line.text("split"), line.labels()
    if name is None:
        raise BadDataError("id: is missing")
    if split not in SPLITS:
        raise BadDataError(f"split: must be one of {', '.join(SPLITS)}")
    if not labels and split != "pretrain":
        raise BadDataError(f"labels: a {split} example needs at least one")
    video, audio, image = (line.file(kind, root, folder) for kind in MEDIA)
    text, start, end = line.text("text"), line.seconds("start"), line.seconds("end")
    if video is not None and image is not None:
        raise BadDataError("image: an example has either a video or an image")
    if end is not None and end <= (start or 0.0):
        raise BadDataError("end: must be after start")
    example = Example(name, split, labels, video, audio, image, text, start, end, number)
    if not example.modalities:
        raise BadDataError(f"names none of {', '.join(MEDIA)}, text")
    return example
