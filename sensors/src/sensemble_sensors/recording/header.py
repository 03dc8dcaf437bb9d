"""The first line of a segment's `.jsonl`: its place in time, and the form of its samples."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sensemble_sensors.errors import BadDataError, SpecError
from sensemble_sensors.kinds.kind import Kind
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.lines import MAX_LINE, MAX_SECONDS, Fields, numbered, opened
from sensemble_sensors.media.dataset_paths import Root
from sensemble_sensors.spec import InputSpec, kind_name

# Modality -> the numbers that its samples share: a rate (Hz) for sound, height and width for pictures.
Form = Mapping[str, tuple[int, ...]]

INDEX, EVENTS, SEGMENTS = "index.jsonl", "events.jsonl", "segments"
# Seconds of a segment at most, which waits in memory until it ends: 224 x 224 at 30 a second take 270 MB.
SPAN = 60.0
TAKES = 1_000_000  # a higher number of a take is a mistake


@dataclass(frozen=True, slots=True)
class Header:
    """The place of a segment in its take, in seconds, and the form of its samples."""

    take: int
    start: float  # in seconds of the take, as `end`
    end: float
    form: Form
    kinds: Mapping[str, str]  # those that the names of the modalities do not imply

    def kind(self, modality: str) -> Kind:
        """Return the kind of a modality; BadDataError if it is unknown."""
        return _kind(modality, self.kinds)


def segment_number(name: str) -> int:
    """Return the number of the segment with this id; BadDataError if it is none."""
    if not re.fullmatch(r"[0-9]{6,12}", name):
        raise BadDataError(f"id: {name!r} is not the id of a segment, such as '000001'")
    return int(name)


def segment_path(folder: Path, name: str) -> Path:
    """Return the path of the `.jsonl` of the segment `name`; BadDataError if it is not inside the folder."""
    segment_number(name)
    return Root(folder).file("id", f"{SEGMENTS}/{name}.jsonl")


def read_header(path: Path) -> Header:
    """Read the header of the `.jsonl` at `path`; BadDataError if it has none."""
    for number, line in lines(path):
        with located(path, number):
            start = line.number("start", 0, MAX_SECONDS)
            end = line.number("end", start, start + SPAN)
            kinds = line.get("kinds", dict[str, str])
            return Header(line.integer("take", 1, TAKES), start, end, _form(line, kinds), kinds)
    raise BadDataError(f"{path}: has no header; copy the recording again")


def lines(path: Path) -> Iterator[tuple[int, Fields]]:
    """Yield (number, line) of a file of a recording, except a last line that a power cut has cut short."""
    try:
        with opened(path) as file:
            for number, line in numbered(file):
                if line.endswith(b"\n") or len(line) > MAX_LINE:
                    with located(path, number):
                        fields = Fields(line)
                    yield number, fields
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror}); copy the recording again") from error


@contextmanager
def located(path: Path, number: int) -> Iterator[None]:
    """Name the line of a file in a `BadDataError` that is raised in the context."""
    try:
        yield
    except BadDataError as error:
        raise BadDataError(f"{path}:{number}: cannot be read ({error}); copy the recording again") from error


def form_of(specs: Mapping[str, InputSpec]) -> Form:
    """Return the form that `specs` ask for."""
    asked = {modality: kind_of(spec).form(spec) for modality, spec in specs.items()}
    return {modality: form for modality, form in asked.items() if form}


def _kind(modality: str, kinds: Mapping[str, str]) -> Kind:
    try:
        return kind_of(kind_name(modality, kinds.get(modality, "")))
    except SpecError as error:
        raise BadDataError(f"modality: {error}") from error


def _form(line: Fields, kinds: Mapping[str, str]) -> Form:
    form: Form = line.get("form", dict[str, tuple[int, ...]])
    for modality, numbers in form.items():
        limits = _kind(modality, kinds).form_limits
        good = (0 < n <= limit for n, limit in zip(numbers, limits, strict=False))
        if len(numbers) != len(limits) or not all(good):
            raise BadDataError(f"form.{modality}: expected integers from 1 to {', '.join(map(str, limits))}")
    return form
