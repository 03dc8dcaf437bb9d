"""Edit lines of a dataset's index or streams, a recording or not; the file is whole at any time."""

import json
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

from sensemble_sensors.durable import lock, sync_folder, write
from sensemble_sensors.errors import BadDataError, RecordingError
from sensemble_sensors.lines import Fields, numbered
from sensemble_sensors.media.dataset import group_names, label_names
from sensemble_sensors.media.streams import FILE_NAME as STREAMS
from sensemble_sensors.recording.header import EVENTS, INDEX

# Maps a line to its new fields: the same ones to keep it, None to remove it.
Edit = Callable[[Fields], Mapping[str, object] | None]


def edit_index(folder: Path | str, change: Edit, name: str = INDEX) -> None:
    """Edit the lines of `folder/index.jsonl`, or of `name`, all at once; others stay byte for byte.

    `change` is called with each line; a BadDataError that it raises is given the line's place. Raises
    BadDataError, and changes nothing, if the index is missing or a line is bad (a last line that breaks off
    stays), and RecordingError if the folder is being recorded into or cannot be written.
    """
    folder = Path(folder)
    index = folder / name
    try:
        with ExitStack() as stack:
            if (folder / EVENTS).is_file():
                stack.enter_context(lock(folder / EVENTS))
            data, mode = index.read_bytes(), index.stat().st_mode
            changed = b"".join(_changed(index, data, change))
            if changed != data:
                target = index.resolve()  # else a link would be replaced, not the file
                write(target, changed, private=True)
                target.chmod(stat.S_IMODE(mode))
                sync_folder(target.parent)
    except BlockingIOError as error:
        raise RecordingError(f"{folder}: is being recorded into; end that recording first") from error
    except FileNotFoundError as error:
        raise BadDataError(f"{index}: is missing; a dataset is a folder with this file") from error
    except OSError as error:
        raise RecordingError(
            f"{folder}: cannot be written ({error.strerror}); make room, or make it writable"
        ) from error


def set_splits(folder: Path | str, splits: Mapping[str, str]) -> None:
    """Put examples into the splits given by id; others stay where they are. Raises as `edit_index`.

    The streams of a group go with its examples: a group is in one split.
    """
    groups: dict[str, str] = {}

    def moved(line: Fields) -> Mapping[str, object]:
        name = line.string("id")
        if name not in splits:
            return line.values
        groups.update(dict.fromkeys(group_names(line), splits[name]))
        return line.values | {"split": splits[name]}

    def followed(line: Fields) -> Mapping[str, object]:
        found = [groups[group] for group in group_names(line) if group in groups]
        return line.values | {"split": found[0]} if found else line.values

    edit_index(folder, moved)
    if (Path(folder) / STREAMS).exists():
        edit_index(folder, followed, STREAMS)


def rename_label(folder: Path, label: str, new: str) -> None:
    """Rename a label in all examples; one that has the new name too keeps it once. Raises as `edit_index`."""

    def renamed(line: Fields) -> Mapping[str, object]:
        labels = label_names(line.values.get("labels"))
        if label not in labels:
            return line.values
        return line.values | {"labels": list(dict.fromkeys(new if one == label else one for one in labels))}

    edit_index(folder, renamed)


def _changed(index: Path, data: bytes, change: Edit) -> list[bytes]:
    lines = []
    for number, line in numbered(BytesIO(data)):
        if line.isspace():
            lines.append(line)
            continue
        try:
            fields = Fields(line)
            before = dict(fields.values)
            after = change(fields)
        except BadDataError as error:
            if line[-1:] not in b"\n}":  # it breaks off
                lines.append(line)
                continue
            raise BadDataError(f"{index}:{number}: {error}; repair it, or delete its line") from error
        if after == before:
            lines.append(line)
        elif after is not None:
            lines.append(json.dumps(after, ensure_ascii=False).encode() + b"\n")
    return lines
