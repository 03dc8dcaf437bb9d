"""Write samples as a dataset that grows segment by segment and survives a kill, a full disk or a power cut.

A recording is a folder in the data format (`media/dataset.py`): each segment is an example of `index.jsonl`.
`events.jsonl` holds the events of the sensors. `segments/` holds, for each segment, a Matroska file (FFV1
pictures and 32-bit PCM sound, both lossless) and a `.jsonl` with the exact time of every sample, for Matroska
knows only milliseconds. A segment's files reach the disk before its line reaches the index, so only the
unfinished segment can be lost: about `seconds` and `LAG`. A long segment without a class is a
line of `streams.jsonl`, too (`media/streams.py`). All files are private to this user.
"""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from threading import Condition, Thread
from types import MappingProxyType
from typing import IO, Any, Self

from sensemble_sensors.clock import REAL, Clock, wait_for
from sensemble_sensors.durable import append, create, create_folder, lock, repair, sync_folder, write
from sensemble_sensors.errors import BadDataError, RecordingError
from sensemble_sensors.kinds.kind import FileKind, Kind, TrackKind
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.lines import Fields
from sensemble_sensors.media.modalities import FILE_NAME as MODALITIES
from sensemble_sensors.media.modalities import write_modalities
from sensemble_sensors.media.streams import FILE_NAME as STREAMS
from sensemble_sensors.media.streams import STREAM_SPLITS
from sensemble_sensors.recording.header import (
    EVENTS,
    INDEX,
    SEGMENTS,
    SPAN,
    TAKES,
    Form,
    Header,
    read_header,
    segment_number,
    segment_path,
)
from sensemble_sensors.recording.takes import check_labels, group_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Modality, kind_name

LAG = 0.5  # seconds that a segment stays open for samples that are late
# Seconds of samples that may wait for a slow disk, or be late; others are lost, and counted in the events.
BEHIND = 10.0
LONG = 10.0  # seconds from which a segment is a stream
_BEGAN = {"name": "", "modality": "", "kind": "began", "reason": ""}
_UNLABELLED = {"split": "pretrain", "labels": []}


class Recording:
    """A folder to which any thread adds samples; a context manager.

    Another recording into the folder adds a take; two at the same time are refused.

    Args:
        folder: made if it does not exist; a recording that it holds is continued.
        form: of its samples by modality, as `form_of` gives it: the rate (Hz) of sound, if there is any;
            height and width of pictures, which may be left out if they need not match earlier takes.
        seconds: length of a segment, `header.SPAN` at most.
        length: seconds after which no sample is of this take.
        split: of the examples: `pretrain`, or with labels also `train`, `calibrate` or `eval`.
        labels: of the examples; they can be given later by editing `index.jsonl`.
        background: the examples show none of the classes, and so have no labels. Those of `LONG` or more in
            a split that has streams are streams, too.
        declared: the modalities of which the name alone does not say all (`spec.declared`).
        failed: called from the writer's thread with the error that stops it; see `check`.

    Attributes:
        take: the number of this take, from 1.
        began: when it began, in seconds of `time.monotonic`.
        segments: how many segments of this take are on the disk.
        error: the error that stopped the writing.

    Raises RecordingError if the folder cannot be written, holds something else or another form, or is in use,
    the labels do not suit the split, or a segment is too long.
    """

    def __init__(
        self,
        folder: Path | str,
        form: Form,
        *,
        seconds: float = 1.0,
        length: float = math.inf,
        split: str = "pretrain",
        labels: Sequence[str] = (),
        background: bool = False,
        declared: Mapping[str, Modality] = MappingProxyType({}),
        failed: Callable[[RecordingError], None] = lambda _: None,
        clock: Clock = REAL,
    ) -> None:
        check_labels(split, labels, background=background)
        if not 0 < seconds <= SPAN:
            raise RecordingError(
                f"segments of {seconds:g} s: give {SPAN:g} s or less, for one lies in memory until it ends"
            )
        self.segments = 0
        self._folder = folder = Path(folder)
        self._form = form
        self._declared = dict(declared)
        self._kinds: dict[str, Kind] = {}  # of the modalities that gave a sample
        self._seconds, self._length = seconds, length
        self._common: dict[str, Any] = {"split": split, "labels": list(labels)}
        if background:
            self._common["background"] = True
        self._lock, self._number, self.take = _prepare(folder, form, declared)
        self._clock = clock
        self.began = clock.now()
        # The lock of everything below; notified when there is something to do.
        self._changed = Condition()
        self._waiting: dict[int, list[Sample]] = {}  # by segment of this take
        self._lines: list[dict[str, Any]] = []  # of events
        self._next = 0  # the first segment that is not closed
        self._lost: dict[tuple[str, str], int] = {}  # samples by modality and reason, not reported yet
        self._holes: set[str] = set()  # modalities whose next sample follows lost ones
        self._closed = False
        self.error: RecordingError | None = None
        self._failed = failed
        self._thread = Thread(target=self._write, name=f"recording {folder}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, sample: Sample) -> None:
        """Add a sample; never waits for the disk. Empty sound is left out."""
        time = sample.time - self.began
        with self._changed:
            if sample.lost:
                self._lose(sample.modality, "they came faster than they were read", sample.lost)
            if self._kind(sample.modality).continuous and not len(sample.data):
                if sample.cut:
                    self._holes.add(sample.modality)
                return
            wrong = self._unwritable(time)
            if wrong:
                self._lose(sample.modality, wrong, 1)
                self._holes.add(sample.modality)
                return
            if time >= self._length:
                return
            segment = max(math.floor(time / self._seconds), self._next)
            if segment * self._seconds >= self._length:
                self._lose(sample.modality, "they came after the last segment", 1)
                return
            cut = sample.cut or sample.modality in self._holes
            self._holes.discard(sample.modality)
            self._waiting.setdefault(segment, []).append(replace(sample.frozen(), time=time, cut=cut))

    def event(self, name: str, modality: str, kind: str, reason: str) -> None:
        """Add an event of a sensor at the present time; the fields are those of an `Event`."""
        line = {"take": self.take, "time": self._now(), "name": name, "modality": modality}
        with self._changed:
            self._lines.append({**line, "kind": kind, "reason": reason})
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the RecordingError that stopped the writing, if any; indexed segments are on the disk."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Write the last segment and stop; raise as `check`. Closing twice is allowed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.check()

    def _unwritable(self, time: float) -> str:
        first = self._next * self._seconds
        if first - BEHIND <= time <= first + self._seconds + LAG + BEHIND:
            return ""
        if not math.isfinite(time):
            return "its time is not a number"
        if time < first:
            return "its clock is behind"
        return "its clock is ahead" if time > self._now() + LAG else "the disk is slow"

    def _kind(self, modality: str) -> Kind:
        if modality not in self._kinds:
            self._kinds[modality] = kind_of(self._declared.get(modality) or kind_name(modality))
        return self._kinds[modality]

    def _lose(self, modality: str, why: str, count: int) -> None:
        self._lost[modality, why] = self._lost.get((modality, why), 0) + count

    def _now(self) -> float:
        return self._clock.now() - self.began

    def _write(self) -> None:
        try:
            while not self._write_next():
                pass
        except OSError as error:
            self._end(f"cannot be written ({error.strerror})", "make room")
        except BaseException as error:  # noqa: BLE001 - `check` and `close` raise it
            self._end(f"a sample cannot be written ({type(error).__name__}: {error})", "leave out its sensor")
        finally:
            self._lock.close()

    def _end(self, why: str, remedy: str) -> None:
        self.error = RecordingError(
            f"{self._folder}: {why}; its {self.segments} segments of this take are good; {remedy} and record "
            "again"
        )
        self._failed(self.error)

    def _write_next(self) -> bool:
        """Write the complete segments and the events; return whether the recording is over."""
        with self._changed:
            due = (self._next + 1) * self._seconds + LAG
            wait_for(
                self._clock, self._changed, lambda: self._closed or self._lines, max(0.0, due - self._now())
            )
            over = self._closed
            until = (
                max(self._waiting, default=-1) + 1
                if over
                else math.floor((self._now() - LAG) / self._seconds)
            )
            ready = {n: self._waiting.pop(n) for n in sorted(self._waiting) if n < until}
            ready = {n: self._in_time(n * self._seconds, samples) for n, samples in ready.items()}
            self._next = max(self._next, until)
        ready = {n: samples for n, samples in ready.items() if samples}
        last = max(ready, default=-1) if over else -1
        for number, samples in ready.items():
            self._write_segment(number, sorted(samples, key=lambda s: s.time), last=number == last)
        with self._changed:
            for (modality, why), count in self._lost.items():
                self.event("", modality, "dropped", f"{why}: {count} samples are lost")
            lines, self._lines, self._lost = self._lines, [], {}
        if lines:
            append(self._folder / EVENTS, "".join(_line(line) for line in lines))
        return over

    def _in_time(self, begin: float, samples: list[Sample]) -> list[Sample]:
        """Leave out, and count, rows of a file that all lie before their example: none could be read."""
        kinds = {m: self._kind(m) for m in {s.modality for s in samples}}
        rates = {m: self._declared[m].rate for m, kind in kinds.items() if isinstance(kind, FileKind)}
        # Within half a step, the precision of reading rows.
        late = rates.keys() - {
            s.modality for s in samples if (s.time - begin) * rates.get(s.modality, 0) >= -0.5
        }
        self._holes |= late
        for modality in late:
            count = sum(s.modality == modality for s in samples)
            self._lose(modality, "they lie before their example", count)
        return [s for s in samples if s.modality not in late]

    def _write_segment(self, number: int, samples: list[Sample], *, last: bool) -> None:
        name = f"{self._number:06d}"
        last_of = {sample.modality: sample for sample in samples}
        kinds = {m: self._kind(m) for m in sorted(last_of)}
        tracks = {m: kind for m, kind in kinds.items() if isinstance(kind, TrackKind)}
        folder = self._folder / SEGMENTS
        start, end = number * self._seconds, (number + 1) * self._seconds
        formed = {m: kinds[m].form_of(s.data, self._form.get(m, ())) for m, s in last_of.items()}
        form = {**self._form, **{modality: numbers for modality, numbers in formed.items() if numbers}}
        place: dict[str, float] = {}
        begin = start
        if tracks:
            from sensemble_sensors.codecs.tracks import probe

            path = folder / f"{name}.mkv"
            encoded, begin = _encode(samples, form, tracks)
            write(path, encoded, private=True)
            place = _place(start - begin, min(end - begin, probe(path).seconds))
            with self._changed:
                samples = self._in_time(begin, samples)
        files: dict[str, str] = {}
        for m, kind in kinds.items():
            own = [s for s in samples if s.modality == m]
            if isinstance(kind, FileKind) and own:
                names = [channel.name for channel in self._declared[m].channels]
                files[m] = f"{SEGMENTS}/{name}.{m}{kind.suffix}"
                write(self._folder / files[m], kind.file(own, names, form[m], begin), private=True)
        # The times of rows count from the start, which is stated, even 0; rows may go on after the tracks.
        if files:
            place = {"start": 0.0} | (_place(start - begin, end - begin) if place or not tracks else {})
        header = Header(
            self.take,
            start,
            end,
            form,
            {m: one.kind for m, one in self._declared.items() if m in form or m in kinds},
        )
        lines = [asdict(header)]
        for s in samples:
            line = {"modality": s.modality, "time": s.time, "cut": s.cut}
            lines.append(line | kinds[s.modality].describe(s.data))
        write(folder / f"{name}.jsonl", "".join(map(_line, lines)).encode(), private=True)
        sync_folder(folder)
        latest = max((s.time for s in samples if s.modality in {*tracks, *files}), default=math.inf)
        # The rest of a take is kept for replay; it is too short to be a labelled example.
        rest = last and self.segments and latest < (number + 0.5) * self._seconds
        example: dict[str, Any] = {"id": name, **(_UNLABELLED if rest else self._common)}
        example["group"] = group_of(self.take)
        media = dict.fromkeys(tracks, f"{SEGMENTS}/{name}.mkv") | files
        tokens = {m: sample.data for m, sample in last_of.items() if kinds[m].tokenized}
        append(self._folder / INDEX, _line(example | media | tokens | place))
        if (
            media
            and self._seconds >= LONG
            and example.get("background")
            and example["split"] in STREAM_SPLITS
        ):
            stream = {key: example[key] for key in ("id", "split", "group")}
            append(self._folder / STREAMS, _line(stream | media))
        self._number += 1
        self.segments += 1


def _place(start: float, end: float) -> dict[str, float]:
    """Return an example's start and end in its media file; nothing if all of it is late."""
    begin, end = max(round(start, 3), 0.0), round(end, 3)
    return ({"start": begin} if begin else {}) | {"end": end} if end > begin else {}


def _encode(samples: Sequence[Sample], form: Form, kinds: Mapping[str, TrackKind]) -> tuple[bytes, float]:
    """Encode the modalities that have a track as one Matroska file; return it and the time of its begin."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        # All tracks come before the first packet.
        tracks = [
            kind.track_writer(container, [s for s in samples if s.modality == modality], form[modality])
            for modality, kind in kinds.items()
        ]
        start = min(track.begin for track in tracks)
        for track in tracks:
            track.write(start)
    return out.getvalue(), start


def _line(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _prepare(folder: Path, form: Form, declared: Mapping[str, Modality]) -> tuple[IO[bytes], int, int]:
    """Begin another take in a folder; return its lock, the number of the next segment, that of the take."""
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
            if (folder / STREAMS).exists():
                repair(folder / STREAMS)
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
    """Check the form of a take against the last segment of each modality."""
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
