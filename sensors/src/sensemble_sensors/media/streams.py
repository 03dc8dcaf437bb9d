"""Read streams: long recordings with labelled spans, one a line of `streams.jsonl` beside an index."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from pathlib import Path

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.lines import MAX_SECONDS, Fields, numbered, opened
from sensemble_sensors.media.dataset import Example, IndexParser, divided, group_names, read_index
from sensemble_sensors.media.spans import Span, checked, read_spans
from sensemble_sensors.media.splits import SPLITS, GroupSplits
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import STREAM_FIELDS, InputSpec, Modality

FILE_NAME = "streams.jsonl"
STREAM_SPLITS = SPLITS[1:]
BACKGROUNDS = 4000
"""Windows of streams that are learned as backgrounds at most."""
_LATE = 1.0  # seconds by which a span may end after its stream, for want of exact times


@dataclass(frozen=True, slots=True)
class Stream:
    """A long recording, in which the classes appear in `spans` and nowhere else.

    Attributes:
        id: unique among the streams.
        split: `train`, `calibrate` or `eval`.
        values: by modality, a media file, the file of a series, or subtitles.
        spans: in the order of their beginnings, in seconds of the files; none: no class appears.
        line: its line in `streams.jsonl`, from 1.
        groups: as of an `Example`.
        kinds: the kind of each of its modalities, in the order of their names.
    """

    id: str
    split: str
    values: Mapping[str, Path] = field(hash=False)
    spans: tuple[Span, ...] = ()
    line: int = 0
    groups: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of this stream, sorted."""
        return tuple(self.kinds)

    def samples(self, specs: Mapping[str, InputSpec], origin: float = 0.0) -> Iterator[Sample]:
        """Yield its samples in the order of their times, as devices would have given them from `origin` on.

        Modalities that it lacks give none. Raises BadDataError for a file that cannot be decoded.
        """
        playing = (
            kind_of(spec).play(self.values[m], spec, origin) for m, spec in specs.items() if m in self.kinds
        )
        return merge(*playing, key=lambda sample: sample.time)


def read_streams(folder: Path | str) -> tuple[Stream, ...]:
    """Return the streams of a folder, none without `streams.jsonl`; files must exist, but are not opened.

    Where `calibrate` is drawn from the examples of `train`, streams of its groups go along. A bad line raises
    BadDataError ("FILE:LINE: reason"), as does a group that an example or a stream of another split has. A
    last line that breaks off, as a power cut leaves it, is skipped.
    """
    folder = Path(folder)
    path = folder / FILE_NAME
    found: dict[str, Stream] = {}
    try:
        with opened(path) as file:
            (groups, drawn), parser = _groups_of_examples(folder), IndexParser(folder, STREAM_FIELDS)
            for number, line in numbered(file):
                if line.isspace():
                    continue
                try:
                    stream = _stream(Fields(line), number, parser)
                    if stream.split == "train" and not drawn.isdisjoint(stream.groups):
                        stream = replace(stream, split="calibrate")
                    _check_new(stream, found, groups)
                except BadDataError as error:
                    if line[-1:] not in b"\n}":  # it breaks off
                        break
                    raise BadDataError(f"{path}:{number}: {error}") from error
                found[stream.id] = stream
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror}); make it readable") from error
    return tuple(found.values())


def _groups_of_examples(folder: Path) -> tuple[GroupSplits, frozenset[str]]:
    """Return the split of each group of labelled examples, and the groups that were drawn for `calibrate`."""
    groups, drawn = GroupSplits(), set[str]()
    if (folder / "index.jsonl").exists():
        examples, is_drawn = divided(folder, read_index(folder, skip_bad=True)[0])
        for example in examples:
            if example.labels or example.background:
                for group in example.groups:
                    groups.add(group, example.split, f"line {example.line} of index.jsonl")
                drawn.update(example.groups if is_drawn and example.split == "calibrate" else ())
    return groups, frozenset(drawn)


def _check_new(stream: Stream, found: Mapping[str, Stream], groups: GroupSplits) -> None:
    if stream.id in found:
        raise BadDataError(f"id: {stream.id!r} is already that of line {found[stream.id].line}")
    for group in stream.groups:
        groups.add(group, stream.split, f"line {stream.line}")


def _stream(line: Fields, number: int, parser: IndexParser) -> Stream:
    name, split = line.text("id"), line.text("split")
    if name is None:
        raise BadDataError("id: is missing")
    if split not in STREAM_SPLITS:
        raise BadDataError(f"split: expected one of {', '.join(STREAM_SPLITS)}")
    given, kinds = parser.values(line, texts=False)
    if still := next((one for one in given if one not in kinds), None):
        raise BadDataError(f"{still}: a still picture is no stream; name a film, as video")
    values = {modality: Path(given[modality]) for modality in kinds}
    spans = sorted(_spans(line, parser), key=lambda span: (span.begin, span.end))
    return Stream(name, split, values, tuple(spans), number, group_names(line), kinds)


def _spans(line: Fields, parser: IndexParser) -> list[Span]:
    raw = line.values.get("spans")
    if not isinstance(raw, list):
        path = line.text("spans")
        return [] if path is None else read_spans(parser.file("spans", path))
    spans = []
    for place, row in enumerate(raw):
        match row:
            case [float() | int() as begin, float() | int() as end, str() as label] if (
                0 <= begin <= MAX_SECONDS and 0 <= end <= MAX_SECONDS
            ):
                spans.append(checked(Span(float(begin), float(end), label, f"spans[{place}]")))
            case _:
                raise BadDataError(f"spans[{place}]: expected [from, until, label], times in seconds")
    return spans


def seconds(stream: Stream, declared: Mapping[str, Modality]) -> float:
    """Return how long a stream lasts: to the end of its longest file; BadDataError if one is unreadable."""
    return max(
        kind_of(kind).seconds(stream.values[m], declared.get(m) or Modality(m, kind))
        for m, kind in stream.kinds.items()
    )


def check(stream: Stream, declared: Mapping[str, Modality]) -> None:
    """Check that each file can be read and lasts some time, and that each span lies in the stream."""
    length = seconds(stream, declared)
    if length <= 0:
        raise BadDataError(f"{next(iter(stream.values.values()))}: lasts no time")
    late = next((span for span in stream.spans if span.end > length + _LATE), None)
    if late is not None:
        raise BadDataError(
            f"spans: {late.label} ends at {late.end:g} s, after the stream ({length:g} s); move its bounds"
        )


def backgrounds(
    streams: Iterable[Stream], specs: Mapping[str, InputSpec], split: str, most: int = BACKGROUNDS
) -> list[Example]:
    """Return windows of the streams of a split that no span touches, and captions outside of them.

    They are backgrounds, a longest window of `specs` each, half of one apart, `most` at most, evenly spread.
    Windows that hold a part of a span are neither. Raises BadDataError for an unreadable file.
    """
    longest = max((spec.window for spec in specs.values()), default=0.0)
    found = list[Example]()
    for stream in streams:
        if stream.split == split:
            timed = [m for m in stream.modalities if m in specs and not kind_of(specs[m]).tokenized]
            texts = [m for m in stream.modalities if m in specs and kind_of(specs[m]).tokenized]
            if timed and longest:
                declared = {m: _declared(specs[m]) for m in timed}
                length = min(kind_of(specs[m]).seconds(stream.values[m], declared[m]) for m in timed)
                found += _windows(stream, timed, length, longest)
            for m in texts:
                cues = kind_of(specs[m]).play(stream.values[m], specs[m], 0.0)
                found += [
                    _cut(stream, {m: str(cue.data)}, cue.time) for cue in cues if _free(stream, cue.time)
                ]
    count = min(most, len(found))
    return [found[place * len(found) // count] for place in range(count)]


def _windows(stream: Stream, modalities: Sequence[str], length: float, window: float) -> Iterator[Example]:
    values = {m: stream.values[m] for m in modalities}
    for step in range(math.floor(2 * (length - window) / window) + 1):
        begin = step * window / 2
        if _free(stream, begin, begin + window):
            yield _cut(stream, values, begin, begin + window)


def _free(stream: Stream, begin: float, end: float = 0.0) -> bool:
    """Return whether no span touches a stretch of time."""
    return all(span.end <= begin or span.begin >= max(begin, end) for span in stream.spans)


def _cut(stream: Stream, values: Mapping[str, Path | str], begin: float, end: float | None = None) -> Example:
    return Example(
        f"{stream.id}@{begin:.3f}",
        stream.split,
        (),
        values,
        stream.line,
        None if end is None else begin,
        end,
        stream.groups,
        background=True,
        sort="stream",
        kinds={m: stream.kinds[m] for m in values},
    )


def _declared(spec: InputSpec) -> Modality:
    return Modality(spec.modality, spec.kind, spec.rate, spec.channels)
