"""Read a recording back: the very samples that were put into it, and what became of its sensors meanwhile."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np

from sensemble_sensors import matroska
from sensemble_sensors.dataset import Example
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.header import Form, form_of, read_header, worded
from sensemble_sensors.recording import EVENTS, SEGMENTS
from sensemble_sensors.replay import Gone, Player
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

AWAY = ("lost", "failed", "unwell", "detached")  # kinds of `Plug` after which nothing holds that it gave
_PAUSE = 1.0  # seconds, at least, between two takes, and where examples were left out


@dataclass(frozen=True, slots=True)
class Segment:
    """An example of a recording and where it lies in time.

    Attributes:
        example: as the index has it, with the labels that it got since.
        path: its `.jsonl`.
        take: which take it is of.
        start: in seconds of the take.
        end: in seconds of the take.
        form: of its sound and pictures.
    """

    example: Example
    path: Path
    take: int
    start: float
    end: float
    form: Form

    def samples(self) -> Iterator[Sample]:
        """Yield its samples as they were put, in the order of their times, which are seconds of the take.

        Raises:
            BadDataError: its media file is not what its `.jsonl` says, or cannot be read.
        """
        audio, video = self.example.audio, self.example.video
        number = 1  # the line that is read
        try:
            sound = matroska.decode_sound(audio) if audio else np.zeros(0, np.float32)
            shots = matroska.decode_pictures(video) if video else iter(())
            for number, text in enumerate(self.path.read_bytes().splitlines()[1:], start=2):
                line = json.loads(text)
                data: Any = line.get("text")
                if line["modality"] == "audio":
                    data, sound = np.split(sound, [line["count"]])
                elif line["modality"] == "video":
                    data = next(shots, None)
                if data is None or len(data) < line.get("count", 0):
                    raise BadDataError(
                        f"{self.path}:{number}: names more than its media file holds; copy it again"
                    )
                yield Sample(line["modality"], data, line["time"], line["cut"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadDataError(
                f"{self.path}:{number}: cannot be read ({error}); copy the recording again"
            ) from error


@dataclass(frozen=True, slots=True)
class Plug:
    """What became of a sensor: a line of `events.jsonl`; `time` in seconds of the take."""

    take: int
    time: float
    name: str
    modality: str
    kind: str
    reason: str


class Recorded:
    """Some segments of a recording as one stream, whose time begins at 0.

    What follows each other in the recording does so in the stream, at the same distance. Between two takes,
    and where examples were left out, passes so much time that nothing from before is live after it, and the
    next sample of each modality is a cut.

    Args:
        folder: of the recording.
        examples: of its index.
        specs: the input of each encoder, for the form and how long that is; without, any form, and a second.

    Raises:
        BadDataError: an example has no segment, or one of another form than `specs` ask for.
    """

    def __init__(
        self, folder: Path, examples: Sequence[Example], specs: Mapping[str, InputSpec] | None = None
    ) -> None:
        found = [_segment(example, folder / SEGMENTS / f"{example.id}.jsonl") for example in examples]
        self.segments = sorted(found, key=lambda segment: (segment.take, segment.start))
        self._check(specs or {})
        self._folder = folder
        pause = max((max(s.ttl, s.window, s.hop) for s in (specs or {}).values()), default=_PAUSE)
        self._joined = [_follows(*pair) for pair in zip([None, *self.segments], self.segments, strict=False)]
        self._shifts = _shifts(self.segments, self._joined, max(pause, _PAUSE))
        self._ends = [s.end + shift for s, shift in zip(self.segments, self._shifts, strict=True)]

    @property
    def length(self) -> float:
        """How many seconds it lasts."""
        return self._ends[-1]

    def samples(self, specs: Mapping[str, InputSpec], origin: float = 0.0) -> Iterator[Sample]:
        """Yield the samples of the modalities that `specs` has, as they were put, `origin` later.

        Where a segment does not go on from the one before it, the first sample of each modality is a cut.

        Raises:
            BadDataError: they are of another form than `specs` ask for, or cannot be read.
        """
        self._check(specs)
        going: set[str] = set()  # modalities that gave a sample since the last break
        for segment, joined, shift in zip(self.segments, self._joined, self._shifts, strict=True):
            going = going if joined else set()
            for sample in segment.samples():
                if sample.modality in specs:
                    cut = sample.cut or sample.modality not in going
                    going.add(sample.modality)
                    yield replace(sample, time=origin + (sample.time + shift), cut=cut)

    @cached_property
    def plugs(self) -> list[Plug]:
        """What became of the sensors, in order, in the time of the stream."""
        found = []
        for plug in _plugs(self._folder / EVENTS):
            places = [(s.take, s.end) for s in self.segments]
            index = bisect_left(places, (plug.take, plug.time))
            if index < len(places) and self.segments[index].take == plug.take:
                # What became of it before the first segment, it is when the stream has that segment begin.
                time = max(plug.time, self.segments[index].start)
                found.append(replace(plug, time=time + self._shifts[index]))
        return sorted(found, key=lambda plug: plug.time)

    def example_at(self, time: float) -> Example | None:
        """Return the example whose segment holds `time`, in seconds of the stream; None between them."""
        index = bisect_left(self._ends, time)
        if index == len(self.segments):
            return None
        segment = self.segments[index]
        return segment.example if time > segment.start + self._shifts[index] else None

    def _check(self, specs: Mapping[str, InputSpec]) -> None:
        """See that every segment is of the form of `specs`, before the first of them is played."""
        wanted = form_of(specs)
        for segment in self.segments:
            for modality in sorted(segment.form.keys() & wanted.keys()):
                has, wants = segment.form[modality], wanted[modality]
                if has != wants:
                    raise BadDataError(
                        f"{segment.path}: {modality} was recorded at {worded(modality, has)}, and the bundle "
                        f"takes {worded(modality, wants)}; record with --bundle, or use `sensemble audit`, "
                        "which converts"
                    )


class RecordingReplay(Player):
    """Plays a recording in real time, its samples as far apart as they were.

    What was lost or unwell is lost when it was; opened again at once, it gives nothing before it then did.

    Args:
        recorded: what to play.
        specs: the input of each encoder; one sensor for each modality that was recorded.
    """

    def __init__(self, recorded: Recorded, specs: Mapping[str, InputSpec]) -> None:
        present = {modality for segment in recorded.segments for modality in segment.example.modalities}
        super().__init__("recording", {m: spec for m, spec in specs.items() if m in present})
        self._recorded = recorded
        self._specs = specs
        self._origin = 0.0

    def example_at(self, time: float) -> Example | None:
        """Return the example that was recorded at what is now `time`."""
        return self._recorded.example_at(time - self._origin)

    def _stream(self, origin: float) -> Iterator[Sample | Gone]:
        self._origin = origin
        gone = [
            Gone(plug.modality, origin + plug.time, plug.reason)
            for plug in self._recorded.plugs
            if plug.kind in AWAY and plug.modality in self.modalities
        ]
        samples = self._recorded.samples(self._specs, origin)
        return merge(samples, gone, key=lambda item: item.time)


def is_recording(folder: Path) -> bool:
    """Return whether a dataset's folder is a recording."""
    return (folder / EVENTS).is_file()


def _follows(last: Segment | None, segment: Segment) -> bool:
    """Whether a segment goes on where `last` ended, with no example left out between them."""
    return (
        last is not None and segment.take == last.take and int(segment.example.id) == int(last.example.id) + 1
    )


def _shifts(segments: Sequence[Segment], joined: Sequence[bool], pause: float) -> list[float]:
    """Return what to add to the times of each segment's take."""
    shifts: list[float] = []
    end = -pause  # of the one before, in the stream
    for segment, follows in zip(segments, joined, strict=True):
        shifts.append(shifts[-1] if follows else end + pause - segment.start)
        end = segment.end + shifts[-1]
    return shifts


def _segment(example: Example, path: Path) -> Segment:
    try:
        header = read_header(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadDataError(
            f"{path}: does not describe the segment {example.id!r} ({error}); copy the recording again"
        ) from error
    form = {modality: numbers for modality, numbers in header.form.items() if modality in example.modalities}
    return Segment(example, path, header.take, header.start, header.end, form)


def _plugs(path: Path) -> list[Plug]:
    """Read `events.jsonl`; a last line that a power cut has cut short is no event yet."""
    try:
        lines = path.read_bytes().rpartition(b"\n")[0].splitlines()
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror}); copy the recording again") from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Plug(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise BadDataError(f"{path}:{number}: no recording wrote this line ({error}); mend it") from error
    return found
