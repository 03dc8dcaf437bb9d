"""Read a recording back: its samples bit for bit, and the events of its sensors."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from heapq import merge
from pathlib import Path

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.recording_tracks import TrackReader
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.lines import MAX_SECONDS, Fields
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.dataset_paths import Root
from sensemble_sensors.recording.header import (
    EVENTS,
    TAKES,
    Header,
    lines,
    located,
    read_header,
    segment_number,
    segment_path,
)
from sensemble_sensors.recording.replay import Loss, Player
from sensemble_sensors.recording.writer import BEHIND
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import Event

AWAY = ("lost", "failed", "unhealthy", "detached")  # events after which earlier samples count no more
_SLACK = 1e-3  # seconds, the most by which rounding moves a time
_PAUSE = 1.0  # seconds at least between two takes, and where examples are left out


@dataclass(frozen=True, slots=True)
class Segment:
    """An example of a recording (its labels may be edited), its `.jsonl`, and the header of that."""

    example: Example
    path: Path
    header: Header

    def samples(self) -> Iterator[Sample]:
        """Yield its samples as they were recorded, in the order of their times, in seconds of the take."""
        readers: dict[str, TrackReader] = {}
        for number, line in lines(self.path):
            if number > 1:
                with located(self.path, number):
                    sample = self._sample(line, readers)
                yield sample

    def _sample(self, line: Fields, readers: dict[str, TrackReader]) -> Sample:
        # No sample is later than its segment, and one that came too late for it was not recorded.
        time = line.number("time", self.header.start - BEHIND - _SLACK, self.header.end + _SLACK)
        modality, cut = line.string("modality"), line.flag("cut")
        if modality not in readers:
            readers[modality] = self._reader(modality)
        data = readers[modality](line)
        if data is None:
            raise BadDataError("names more than its media file holds")
        return Sample(modality, data, time, cut)

    def _reader(self, modality: str) -> TrackReader:
        kind = self.header.kind(modality)
        form = self.header.form.get(modality, ())
        if len(form) != len(kind.form_limits):
            raise BadDataError(f"form.{modality}: is missing in the segment's first line")
        path = self.example.value(modality)
        return kind.track_reader(path if isinstance(path, Path) else None, modality, form)


@dataclass(frozen=True, slots=True)
class TakeEvent(Event):
    """An event of a sensor: a line of `events.jsonl`; `time` in seconds of the take."""

    take: int = 0


class Recorded:
    """Some segments of a recording as one stream, whose time begins at 0.

    Consecutive segments keep their distance in time. A pause, as long as `specs` need or a second, separates
    two takes and replaces left-out examples: nothing from before is live after it, and the next sample of
    each modality is a cut. Raises BadDataError if an example has no readable segment in the folder.
    """

    def __init__(
        self,
        folder: Path | str,
        examples: Sequence[Example],
        specs: Mapping[str, InputSpec] | None = None,
    ) -> None:
        folder = Path(folder)
        paths = [segment_path(folder, example.id) for example in examples]
        segments = [Segment(e, path, read_header(path)) for e, path in zip(examples, paths, strict=True)]
        self.segments = sorted(segments, key=lambda segment: (segment.header.take, segment.header.start))
        self._folder = folder
        pause = max((max(s.ttl, s.window, s.hop) for s in (specs or {}).values()), default=_PAUSE)
        self._joined = [_follows(*pair) for pair in zip([None, *self.segments], self.segments, strict=False)]
        self._shifts = _shifts(self.segments, self._joined, max(pause, _PAUSE))
        self._ends = [s.header.end + shift for s, shift in zip(self.segments, self._shifts, strict=True)]

    @property
    def length(self) -> float:
        """The stream's length in seconds."""
        return self._ends[-1]

    def samples(self, specs: Mapping[str, InputSpec], origin: float = 0.0) -> Iterator[Sample]:
        """Yield the samples, `origin` later, in the form of `specs`; unchanged if recorded in that form."""
        converters = {modality: kind_of(spec).converter(spec) for modality, spec in specs.items()}
        going: set[str] = set()  # modalities that gave a sample since the last break
        for segment, joined, shift in zip(self.segments, self._joined, self._shifts, strict=True):
            going = going if joined else set()
            for sample in segment.samples():
                if sample.modality in specs:
                    cut = sample.cut or sample.modality not in going
                    going.add(sample.modality)
                    placed = replace(sample, time=origin + (sample.time + shift), cut=cut)
                    form = segment.header.form.get(sample.modality, ())
                    yield from converters[sample.modality].convert(placed, form)
        for converter in converters.values():
            yield from converter.rest()

    @cached_property
    def events(self) -> list[TakeEvent]:
        """The events of the sensors in order, in the time of the stream."""
        events = []
        places = [(s.header.take, s.header.end) for s in self.segments]
        for event in _events(self._folder):
            index = bisect_left(places, (event.take, event.time))
            if index < len(places) and places[index][0] == event.take:
                # An event before the first segment takes effect when the segment begins.
                time = max(event.time, self.segments[index].header.start)
                events.append(replace(event, time=time + self._shifts[index]))
        return sorted(events, key=lambda event: event.time)

    def example_at(self, time: float) -> Example | None:
        """Return the example whose segment holds `time`, in seconds of the stream; None in a pause."""
        index = bisect_left(self._ends, time)
        if index == len(self.segments):
            return None
        segment = self.segments[index]
        return segment.example if time > segment.header.start + self._shifts[index] else None


class RecordingReplay(Player):
    """Plays a recording in real time; a sensor that was lost or unhealthy is lost at the same time."""

    def __init__(self, recorded: Recorded, specs: Mapping[str, InputSpec]) -> None:
        present = {modality for segment in recorded.segments for modality in segment.example.modalities}
        super().__init__("recording", {m: spec for m, spec in specs.items() if m in present})
        self._recorded = recorded
        self._origin = 0.0

    def example_at(self, time: float) -> Example | None:
        """Return the example whose samples are played at `time`."""
        return self._recorded.example_at(time - self._origin)

    def _stream(self, origin: float) -> Iterator[Sample | Loss]:
        self._origin = origin
        gone = [
            Loss(event.modality, origin + event.time, event.text)
            for event in self._recorded.events
            if event.kind in AWAY and event.modality in self.modalities
        ]
        samples = self._recorded.samples(self._specs, origin)
        return merge(samples, gone, key=lambda item: item.time)


def is_recording(folder: Path) -> bool:
    """Return whether a dataset is a recording."""
    return (folder / EVENTS).is_file()


def _follows(last: Segment | None, segment: Segment) -> bool:
    return (
        last is not None
        and segment.header.take == last.header.take
        and segment_number(segment.example.id) == segment_number(last.example.id) + 1
    )


def _shifts(segments: Sequence[Segment], joined: Sequence[bool], pause: float) -> list[float]:
    """Return the offset from the time of each segment's take to that of the stream."""
    shifts: list[float] = []
    end = -pause  # of the one before, in the stream
    for segment, follows in zip(segments, joined, strict=True):
        shifts.append(shifts[-1] if follows else end + pause - segment.header.start)
        end = segment.header.end + shifts[-1]
    return shifts


def _events(folder: Path) -> Iterator[TakeEvent]:
    path = Root(folder).file("events", EVENTS)
    for number, line in lines(path):
        with located(path, number):
            take, time = line.integer("take", 1, TAKES), line.number("time", 0, MAX_SECONDS)
            kind, modality, name, reason = map(line.string, ("kind", "modality", "name", "reason"))
            yield TakeEvent(time, kind, modality, name, reason, take=take)
