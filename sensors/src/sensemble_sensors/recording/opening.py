"""Begin a take: make, lock and repair the folder, and check that the take fits the recording."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from sensemble_sensors.durable import append, create, create_folder, lock, repair
from sensemble_sensors.errors import BadDataError, RecordingError
from sensemble_sensors.lines import Fields
from sensemble_sensors.media.modalities import FILE_NAME as MODALITIES
from sensemble_sensors.media.modalities import write_modalities
from sensemble_sensors.recording.header import (
    EVENTS,
    INDEX,
    SEGMENTS,
    TAKES,
    Form,
    read_header,
    segment_number,
    segment_path,
)
from sensemble_sensors.spec import Modality

_BEGAN = {"name": "", "modality": "", "kind": "began", "reason": ""}


def prepare(folder: Path, form: Form, declared: Mapping[str, Modality]) -> tuple[IO[bytes], int, int]:
    """Make, lock and repair a recording's folder, and begin another take.

    Returns the lock, which holds until it is closed; the number of the next segment; the number of the take.
    Raises RecordingError if the folder cannot be written, holds something else or a recording of another
    form, or is in use by another recording.
    """
    try:
        create_folder(folder)
        if any(path.name != MODALITIES for path in folder.iterdir()) and not (folder / EVENTS).exists():
            raise RecordingError(f"{folder}: is not empty, and is not a recording; name another folder")
        create(folder / EVENTS)
        with ExitStack() as stack:
            held = stack.enter_context(lock(folder / EVENTS))
            takes = _repaired(folder / EVENTS, lambda line: line.integer("take", 1, TAKES))
            examples = _repaired(folder / INDEX, lambda line: segment_number(line.string("id")))
            _check_form(folder, examples, form)
            write_modalities(folder, declared)
            create_folder(folder / SEGMENTS)
            for half in (folder / SEGMENTS).glob("*.partial"):
                half.unlink()
            take = max((n for _, n in takes), default=0) + 1
            append(folder / EVENTS, json.dumps({"take": take, "time": 0.0, **_BEGAN}) + "\n")
            stack.pop_all()
    except BadDataError as error:  # of `modalities.json`
        raise RecordingError(str(error)) from error
    except BlockingIOError as error:
        raise RecordingError(f"{folder}: is in use by another recording; name another folder") from error
    except OSError as error:
        raise RecordingError(f"{folder}: cannot be written ({error.strerror}); name another") from error
    return held, max((n for _, n in examples), default=-1) + 1, take


def _repaired(path: Path, number: Callable[[Fields], int]) -> list[tuple[Fields, int]]:
    """Repair a file of the recording and return its lines, each with its number."""
    lines = []
    for i, text in enumerate(repair(path), start=1):
        try:
            line = Fields(text)
            lines.append((line, number(line)))
        except BadDataError as error:
            raise RecordingError(
                f"{path}:{i}: is not a line of a recording ({error}); repair it, or name another folder"
            ) from error
    return lines


def _check_form(folder: Path, examples: Sequence[tuple[Fields, int]], form: Form) -> None:
    """Check the form of a take against the last segment of each modality, which stands for all."""
    for modality, wanted in form.items():
        last = next((line for line, _ in reversed(examples) if modality in line.values), None)
        if last is None:
            continue
        try:
            header = read_header(segment_path(folder, last.string("id")))
            has = header.form.get(modality, wanted)
        except BadDataError as error:
            raise RecordingError(f"{error}, or name another folder") from error
        if has != wanted:
            worded = header.kind(modality).worded
            raise RecordingError(
                f"{folder}: holds {modality} at {worded(has)}, and this take would be at {worded(wanted)}; "
                "record with the --bundle of the first take, or without one as then, or name another folder"
            )
