"""Read the data format: a folder with `index.jsonl`, one example a line.

A media file may be inside a shard, a tar in the same folder: `"video": "train-000000.tar#1536+482113"`.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sensemble_sensors.errors import BadDataError, printable
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.lines import MAX_LINE, Fields, numbered, opened
from sensemble_sensors.media.dataset_paths import Root
from sensemble_sensors.media.splits import SPLITS, Groups, draw
from sensemble_sensors.spec import MODALITIES

_FIELDS_OF = {modality: kind_of(modality).fields(modality) for modality in MODALITIES}
MEDIA = tuple(field for m, fields in _FIELDS_OF.items() for field in fields if not kind_of(m).tokenized)
_TEXTS = tuple(field for m, fields in _FIELDS_OF.items() for field in fields if kind_of(m).tokenized)
FIELDS = ("id", "split", "labels", "background", "group", *MEDIA, "start", "end", *_TEXTS)
_KNOWN = frozenset(FIELDS)


@dataclass(frozen=True, slots=True)
class Example:
    """A line of the index.

    Attributes:
        id: unique within the dataset.
        split: one of `SPLITS`: for pretraining, for training, for selection and calibration, for reporting.
        labels: the names of its classes; empty only in `pretrain` and in a background.
        video: the file with the video track, by itself or in a shard (`shards`); may be the same as `audio`.
        audio: the file with the audio track.
        image: a still picture, instead of a video.
        text: the caption.
        start: seconds within the media files at which the example begins; None for their beginning.
        end: seconds within the media files at which it ends; None for their end.
        line: its line in `index.jsonl`, from 1.
        group: a person or a recording, say, whose examples must be in one split; None for an example alone.
        background: shows none of the classes: silence, noise, other words, an empty sheet. Models learn from
            it what is unfamiliar; it is never classified.
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
    group: str | None = None
    background: bool = False

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of this example, sorted; an image counts as `video`."""
        has = ((m, any(self.value(f) is not None for f in fields)) for m, fields in _FIELDS_OF.items())
        return tuple(modality for modality, present in has if present)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that last some time, each once."""
        paths = (path for m in _FIELDS_OF for path in kind_of(m).files(self, m))
        return tuple(dict.fromkeys(paths))

    def value(self, field: str) -> Path | str | None:
        """Return the value of one of the fields `MEDIA` or of a text; None where it is absent."""
        value: Path | str | None = getattr(self, field)
        return value


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of one folder, in the order of its index.

    Attributes:
        folder: with `index.jsonl`.
        examples: the valid lines.
        skipped: "FILE:LINE: reason" of each bad line that was skipped.
        drawn: the split `calibrate` was drawn from `train`, for the index has none.
    """

    folder: Path
    examples: tuple[Example, ...]
    skipped: tuple[str, ...] = ()
    drawn: bool = False

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that some example has, sorted; those of backgrounds alone do not count."""
        return tuple(sorted({m for example in self.known for m in example.modalities}))

    @property
    def known(self) -> tuple[Example, ...]:
        """The examples of all splits that may show a class: all but the backgrounds."""
        return tuple(example for example in self.examples if not example.background)

    def split(self, name: str) -> tuple[Example, ...]:
        """Return the examples of a split, one of `SPLITS`, without its backgrounds."""
        return tuple(example for example in self.known if example.split == name)

    def background(self, name: str) -> tuple[Example, ...]:
        """Return the backgrounds of a split, one of `SPLITS`."""
        return tuple(example for example in self.examples if example.background and example.split == name)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have examples other than backgrounds, in the order of `SPLITS`."""
        return tuple(name for name in SPLITS if self.split(name))

    @property
    def selection(self) -> tuple[Example, ...]:
        """The labelled examples for the selection of models and schemes, never those of `eval`.

        They are those of `calibrate` or, if `train` was too small to draw it from, those of `train`.
        """
        return self.split("calibrate") or self.split("train")


def read_dataset(folder: Path | str, *, skip_bad: bool = False) -> Dataset:
    """Read and check `folder/index.jsonl`; media files must exist, but are not opened.

    If the index has no split `calibrate`, it is drawn from `train` (`splits.draw`). A bad line raises
    BadDataError ("FILE:LINE: reason"), as does a missing or empty index; `skip_bad` lists bad lines in
    `Dataset.skipped` instead. A last line that breaks off, as a power cut leaves it, is always skipped.
    """
    folder = Path(folder)
    examples, skipped = read_index(folder, skip_bad=skip_bad)
    if not examples:
        raise BadDataError(
            f"{folder / 'index.jsonl'}: no good example; "
            + (f"the first bad line is {skipped[0]}" if skipped else "it needs a line for each")
        )
    chosen = draw(examples)
    examples = tuple(replace(e, split="calibrate") if e.id in chosen else e for e in examples)
    return Dataset(folder, examples, skipped, bool(chosen))


def read_index(folder: Path, *, skip_bad: bool = False) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Read `folder/index.jsonl` as it is: no split is drawn, and it may have no example.

    Returns the examples of the good lines and "FILE:LINE: reason" of each skipped line. Raises BadDataError
    for a missing index, or a bad line unless `skip_bad`.
    """
    index = folder / "index.jsonl"
    root = Root(folder)
    examples: dict[str, Example] = {}
    groups = Groups()
    skipped: list[str] = []
    try:
        with opened(index) as file:
            for number, line in numbered(file):
                if line.isspace():
                    continue
                try:
                    example = _example(Fields(line), root, number)
                    _check_new(example, examples, groups)
                except BadDataError as error:
                    reason = f"{index}:{number}: {error}"
                    broken_off = line[-1:] not in b"\n}" and len(line) < MAX_LINE
                    if not skip_bad and not broken_off:
                        raise BadDataError(reason) from error
                    skipped.append(reason)
                else:
                    examples[example.id] = example
    except OSError as error:
        raise BadDataError(
            f"{index}: cannot be read ({error.strerror}); a dataset is a folder with this file"
        ) from error
    return tuple(examples.values()), tuple(skipped)


def _check_new(example: Example, examples: dict[str, Example], groups: Groups) -> None:
    if example.id in examples:
        raise BadDataError(f"id: {example.id!r} is already that of line {examples[example.id].line}")
    if example.group is not None and (example.labels or example.background):
        groups.add(example.group, example.split, f"line {example.line}")


def _labels(line: Fields) -> tuple[str, ...]:
    value = line.values.get("labels")
    names = value if isinstance(value, list) else [None]
    if value is None:
        return ()
    named = all(isinstance(name, str) and name.strip() and printable(name) == name for name in names)
    if not named or len(set(names)) < len(names):
        raise BadDataError("labels: must be a list of names, each once and printable")
    return tuple(map(sys.intern, names))


def _file(line: Fields, name: str, root: Root) -> Path | None:
    relative = line.text(name)
    return None if relative is None else root.file(name, relative)


def _example(line: Fields, root: Root, number: int) -> Example:
    unknown = next((name for name in line.values if name not in _KNOWN), None)
    if unknown is not None:
        shown = unknown if unknown.isprintable() else ascii(unknown)
        raise BadDataError(f"{shown}: unknown field; the format has {', '.join(FIELDS)}")
    name, split, labels = line.text("id"), line.text("split"), _labels(line)
    if name is None:
        raise BadDataError("id: is missing")
    if split not in SPLITS:
        raise BadDataError(f"split: must be one of {', '.join(SPLITS)}")
    background = line.values.get("background") is not None and line.flag("background")
    if background and labels:
        raise BadDataError("labels: a background shows none of the classes; leave out the labels or the mark")
    if not labels and not background and split != "pretrain":
        raise BadDataError(f"labels: a {split} example needs at least one, unless it is a background")
    values: dict[str, Any] = {field: _file(line, field, root) for field in MEDIA}
    values |= {field: line.text(field) for field in _TEXTS}
    for fields in _FIELDS_OF.values():
        if sum(values[field] is not None for field in fields) > 1:
            raise BadDataError(f"{fields[-1]}: an example has either {' or '.join(fields)}")
    start, end = line.seconds("start"), line.seconds("end")
    group = line.text("group")
    if end is not None and end <= (start or 0.0):
        raise BadDataError("end: must be after start")
    if all(value is None for value in values.values()):
        raise BadDataError(f"names none of {', '.join(values)}")
    return Example(
        id=name,
        split=sys.intern(split),
        labels=labels,
        start=start,
        end=end,
        line=number,
        group=group,
        background=background,
        **values,
    )
