"""Takes of a recording: list them, delete one, give one other labels.

A take is what one `Recording` wrote; its segments are the examples of the group `take N`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sensemble_sensors.durable import sync_folder
from sensemble_sensors.errors import BadDataError, RecordingError
from sensemble_sensors.lines import Fields
from sensemble_sensors.media.dataset import Example, group_names, label_names, read_index
from sensemble_sensors.media.splits import SPLITS, TAKE
from sensemble_sensors.media.streams import FILE_NAME as STREAMS
from sensemble_sensors.recording.editing import edit_index
from sensemble_sensors.recording.header import INDEX, SEGMENTS, read_header, segment_number, segment_path


@dataclass(frozen=True, slots=True)
class Take:
    """The segments that one `Recording` wrote.

    Attributes:
        number: from 1, in the order of the takes; that of a deleted take is not used again.
        split, labels: of its examples.
        background: its examples show none of the classes.
        segments: the ids of its examples, in order. A last one that is too short to be a labelled example is
            among them; its split is `pretrain`.
        seconds: the time that its segments cover.
        modalities: those that gave samples, sorted.
    """

    number: int
    split: str
    labels: tuple[str, ...]
    background: bool
    segments: tuple[str, ...]
    seconds: float
    modalities: tuple[str, ...]


def group_of(number: int) -> str:
    """Return the group of a take's examples, which are too alike to be in two splits."""
    return f"take {number}"


def check_labels(split: str, labels: Sequence[str], *, background: bool) -> None:
    """Raise RecordingError if a take cannot have this split and these labels."""
    if background and labels:
        raise RecordingError(f"labels {', '.join(labels)}: a background shows none of the classes")
    if split not in SPLITS or not (split == "pretrain" or labels or background):
        raise RecordingError(
            f"split {split!r}: give {', '.join(SPLITS)}; all but pretrain need a label, or a background"
        )
    try:
        label_names(list(labels))
    except BadDataError as error:
        raise RecordingError(f"{error}; give printable names, each once, none blank") from error


def read_takes(folder: Path | str) -> tuple[Take, ...]:
    """Return the takes of a recording in order; of one that is being recorded, the segments on the disk.

    Examples whose group was changed by hand belong to no take. Raises BadDataError for a bad index or
    segment.
    """
    folder = Path(folder)
    examples, _ = read_index(folder)
    examples_of: dict[int, list[Example]] = {}
    for example in examples:
        for match in filter(None, map(TAKE.fullmatch, example.groups)):
            examples_of.setdefault(int(match[1]), []).append(example)
    return tuple(_take(folder, number, examples_of[number]) for number in sorted(examples_of))


def _take(folder: Path, number: int, examples: Sequence[Example]) -> Take:
    try:
        headers = [read_header(segment_path(folder, example.id)) for example in examples]
    except BadDataError as error:
        raise BadDataError(f"{folder / INDEX}: {group_of(number)}: {error}; delete its lines") from error
    used = next((e for e in examples if e.labels or e.background), examples[0])
    return Take(
        number,
        used.split,
        tuple(dict.fromkeys(label for example in examples for label in example.labels)),
        used.background,
        tuple(example.id for example in examples),
        sum(header.end - header.start for header in headers),
        tuple(sorted({m for example in examples for m in example.modalities})),
    )


def delete_take(folder: Path | str, number: int) -> None:
    """Delete a take: its lines leave the index, all at once, and then its files go; raise as `edit_index`."""
    folder, group = Path(folder), group_of(number)
    _forget_streams(folder, group)
    gone: list[int] = []

    def kept(line: Fields) -> Mapping[str, object] | None:
        if group not in group_names(line):
            return line.values
        gone.append(segment_number(line.string("id")))
        return None

    edit_index(folder, kept)
    if not gone:
        raise RecordingError(f"{folder}: has no take {number}")
    try:
        for segment in gone:
            for file in (folder / SEGMENTS).glob(f"{segment:06d}.*"):
                file.unlink()
        sync_folder(folder / SEGMENTS)
    except OSError as error:
        raise RecordingError(
            f"{error.filename}: cannot be deleted ({error.strerror}), though it is no longer in the index; "
            "delete it yourself"
        ) from error


def relabel_take(
    folder: Path | str,
    number: int,
    *,
    split: str = "pretrain",
    labels: Sequence[str] = (),
    background: bool = False,
) -> None:
    """Give a take another split and other labels, as if it had been recorded with them.

    A last segment of less than half the length of the others stays unlabelled. Raises RecordingError if there
    is no such take or the labels do not suit the split, and as `edit_index`.
    """
    check_labels(split, labels, background=background)
    folder, group = Path(folder), group_of(number)
    examples = [example for example in read_index(folder)[0] if group in example.groups]
    if not examples:
        raise RecordingError(f"{folder}: has no take {number}")
    given: dict[str, object] = {"split": split, "labels": list(labels), "background": background or None}
    changes = {example.id: given for example in examples}
    lengths = [(example.end or 0.0) - (example.start or 0.0) for example in examples]
    if 0 < lengths[-1] < max(lengths) / 2:
        changes[examples[-1].id] = {"split": "pretrain", "labels": [], "background": None}

    def relabelled(line: Fields) -> Mapping[str, object]:
        values = line.values | changes.get(line.string("id"), {})
        return {key: value for key, value in values.items() if value is not None}

    _forget_streams(folder, group)
    edit_index(folder, relabelled)


def _forget_streams(folder: Path, group: str) -> None:
    """Let the segments of a group be no streams any more."""
    if (folder / STREAMS).exists():
        edit_index(folder, lambda line: None if group in group_names(line) else line.values, STREAMS)
