"""`sensemble record`: record sensors into a dataset that can be labelled, trained on and replayed."""

import math
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated
from unicodedata import normalize

from sensemble_runtime.bundle.manifest import FILE_NAME, Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.devices.watcher import Watcher
from sensemble_sensors.errors import RecordingError, SensorUnavailableError
from sensemble_sensors.recording.header import EVENTS, INDEX, SPAN
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import STATES, Event
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from sensemble_apps.console.output import remark, say
from sensemble_apps.console.progress import status
from sensemble_apps.errors import InputError
from sensemble_apps.options import Folder, OptionalBundle, Positional, Sources, Texts
from sensemble_apps.running import take_recorder
from sensemble_apps.running.capture import Capture, CaptureSummary
from sensemble_apps.running.inputs import forms
from sensemble_apps.running.real_time import retry
from sensemble_apps.running.recorder import Recorder
from sensemble_apps.running.take_recorder import TakeRecorder, plan, record_all, takes_in
from sensemble_apps.running.view_events import event_line, shown_event

_CHECK = 0.2  # seconds between two checks of the disk
_FIRST = 30.0  # seconds after which `--seconds` also runs without a sample
_TAKE = 3.0  # seconds of a take, where none are given
_NAMED = 5  # classes of a bundle that are listed if a label is none of them


@dataclass(frozen=True, kw_only=True)
class Record(Sources):
    """Record sensors as a dataset until Ctrl-C or until all have ended, or takes of `--classes` in turn."""

    out: Positional[Folder]
    """The dataset's folder; an existing recording is continued."""
    bundle: OptionalBundle = None
    """A bundle whose form of samples is recorded; by default, 16 kHz sound, frames of 128 x 128 pixels, and
    for others the form in the folder's `modalities.json`."""
    label: Annotated[Texts, "NAME"] = ()
    """A class that is seen or heard throughout; labels can also be written into `index.jsonl` later."""
    split: Annotated[str, "NAME"] = "pretrain"
    """The split of the examples: pretrain or, with a label, any other."""
    background: bool = False
    """None of the classes is seen or heard, as in your room at other times: the recording is a stream of the
    split calibrate, or of `--split`, in which an export counts false events."""
    segment: Annotated[float | None, "S"] = None
    """Seconds per example, by default 1, or 60 of a background; if the command is killed, the last example is
    lost."""
    seconds: Annotated[float | None, "S"] = None
    """Stop S seconds after the first sample; with `--classes`, the length of a take, by default 3."""
    classes: Annotated[str, "NAME,NAME"] = ""
    """Record takes of these classes in turn, into the split train, until there are enough of each. Press
    Enter to go on, d to delete the last take, q to quit. When standard input ends, takes follow without
    waiting for Enter."""
    takes: int = 20
    """The number of takes of each class, including earlier ones."""
    backgrounds: int = 0
    """The number of takes of none of the classes, such as an empty room, to teach what is unfamiliar."""
    unlabelled: int = 0
    """The number of takes of anything, without labels, for pretraining."""


def main(arguments: Record) -> None:
    """Record until the sensors end, the time is up or Ctrl-C comes; then print the amounts."""
    _check(arguments)
    out = arguments.out
    if arguments.bundle is None:
        specs = forms(arguments.sources, out)
    else:
        manifest = read_manifest(arguments.bundle / FILE_NAME, arguments.trust)
        specs = {m: entry.spec for m, entry in manifest.modalities.items()}
        _remark_labels(arguments, manifest)
    existed, begun = out.exists(), (out / EVENTS).exists()
    before = {*out.iterdir()} if existed else set()
    try:
        if arguments.classes:
            _record_classes(arguments, specs)
        else:
            _record(arguments, specs)
    finally:
        # A folder without a segment is no dataset.
        if not begun and (out / INDEX).exists() and not (out / INDEX).stat().st_size:
            _clear(out, before)
            if not existed:
                out.rmdir()


def _record(arguments: Record, specs: Mapping[str, InputSpec]) -> None:
    counts = "takes", "backgrounds", "unlabelled"
    if given := [name for name in counts if getattr(arguments, name) != getattr(Record, name)]:
        raise InputError(f"--{given[0]}: only for takes of --classes; name some, or leave it out")
    capture = Capture(specs, _health(arguments))
    recorder = Recorder(capture, specs)
    background = arguments.background
    segment = arguments.segment or (SPAN if background else 1.0)
    recording = recorder.start(
        arguments.out,
        segment=segment,
        split="calibrate" if background and arguments.split == "pretrain" else arguments.split,
        labels=arguments.label,
        background=background,
    )
    with ExitStack() as stack:
        stack.callback(recording.close)
        stack.enter_context(suppress(KeyboardInterrupt))  # Ctrl-C is how a recording ends
        show = stack.enter_context(status())
        summary = stack.enter_context(_sensing(arguments, specs, capture, recorder))
        length = math.inf if arguments.seconds is None else arguments.seconds
        latest = capture.clock.now() + _FIRST
        # A camera takes seconds to open, which are not recorded.
        while (rest := min(summary.began, latest) + length - capture.clock.now()) > 0 and not capture.over:
            recording.check()
            _wait(capture, rest)
            show(summary.status(recording.segments))
    if not recording.segments:
        raise InputError("; ".join([f"{arguments.out}: nothing was recorded", *summary.silent]))
    for line in summary.silent:
        remark(line)
    say(f"{recording.segments} segments of {segment:g} s in {arguments.out}: {summary.amounts}")


@contextmanager
def _sensing(
    arguments: Record, specs: Mapping[str, InputSpec], capture: Capture, recorder: Recorder
) -> Iterator[CaptureSummary]:
    """Read the sensors while the block runs, then end the recording; yield a summary of the samples."""
    began = capture.clock.now()
    with arguments.sensors(specs) as sensors, capture:
        for sensor in sensors:
            if sensor.modality not in specs:
                raise InputError(f"{sensor.name}: the bundle has no {sensor.modality}; leave it out")
        summary = CaptureSummary(sensors, specs, capture.clock)

        def note(event: Prediction | Event) -> None:
            if isinstance(event, Event) and event.kind in STATES:
                summary.note(event)
                remark(event_line(shown_event(event, began)))

        samples = capture.listen(summary.add)
        capture.subscribe(note)
        named = {capture.attach(sensor): sensor.modality for sensor in sensors}
        # The watcher ends last, for its search may take seconds, in which nothing is to be recorded.
        with Watcher(arguments.returning(specs), partial(retry, capture, named, None)):
            try:
                yield summary
            finally:
                capture.unsubscribe(samples)
                recorder.stop()
                capture.close()


def _wait(capture: Capture, longest: float) -> None:
    """Wait a moment; raise SensorUnavailableError if no sensor can be opened."""
    capture.wait(min(_CHECK, longest))
    if why := capture.unavailable:
        raise SensorUnavailableError(why)


def _clear(folder: Path, kept: set[Path]) -> None:
    """Remove all but `kept` from a folder. The folder stays: its owner chose its permissions."""
    for path in {*folder.iterdir()} - kept:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _check(arguments: Record) -> None:
    if arguments.names_devices == (arguments.media is not None):
        but = ", and not both" if arguments.media else ""
        raise InputError(f"give --media FILE, or some of --sensor, --camera, --microphone, --captions{but}")
    if arguments.trust is not None and arguments.bundle is None:
        raise InputError("--trust checks a bundle: also give --bundle FOLDER, or leave it out")
    count = Counter(modality for modality, _ in arguments.sources)
    if several := [modality for modality, number in count.items() if number > 1]:
        raise InputError(
            f"{several[0]}: {count[several[0]]} sources; a recording has one of each modality: name the "
            f"others as --sensor {several[0]}.NAME=SOURCE, or record each into its own folder"
        )
    for name, seconds in (("--segment", arguments.segment), ("--seconds", arguments.seconds)):
        if seconds is not None and not 0.1 <= seconds < float("inf"):
            raise InputError(f"{name} {seconds:g}: give 0.1 or more")


def _remark_labels(arguments: Record, manifest: Manifest) -> None:
    strange = [label for label in arguments.label if normalize("NFC", label) not in manifest.labels]
    if strange:
        first = ", ".join(manifest.labels[:_NAMED]) + (", ..." if len(manifest.labels) > _NAMED else "")
        remark(f"--label {', '.join(strange)}: no class of {arguments.bundle}, which knows {first}")


def _health(arguments: Record) -> Thresholds | None:
    """Return no thresholds for a media file, and any picture rate where no bundle needs one."""
    if arguments.media is not None:
        return None
    return DEFAULT if arguments.bundle else replace(DEFAULT, picture_rate=0.0)


def _record_classes(arguments: Record, specs: Mapping[str, InputSpec]) -> None:
    wanted = plan(_classes(arguments), arguments.takes, arguments.backgrounds, arguments.unlabelled)
    seconds = _TAKE if arguments.seconds is None else arguments.seconds
    capture = Capture(specs, _health(arguments))
    recorder = Recorder(capture, specs)
    # Ctrl-C ends the sitting; the takes before it stay.
    with (
        suppress(KeyboardInterrupt),
        status() as show,
        _sensing(arguments, specs, capture, recorder) as summary,
    ):
        latest = capture.clock.now() + _FIRST
        while (rest := latest - capture.clock.now()) > 0 and not capture.over and summary.awaited:
            _wait(capture, rest)
            show(summary.status(0))
        pause = take_recorder.COUNTDOWN
        one = TakeRecorder(recorder, arguments.out, countdown=pause, segment=arguments.segment or 1.0)
        try:
            record_all(one, wanted, seconds, lambda: capture.over, _ask, show)
        except RecordingError as error:
            if why := capture.unavailable:
                raise SensorUnavailableError(why) from error
            raise
    there = takes_in(arguments.out)
    if not there:
        raise InputError("; ".join([f"{arguments.out}: nothing was recorded", *summary.silent]))
    counts = {each.title: len(each.of(there)) for each in wanted}
    amounts = ", ".join(f"{count} {title}" for title, count in counts.items() if count)
    say(f"{len(there)} takes in {arguments.out}: {amounts}")
    remark(f"hold some of them out: sensemble data split {arguments.out}")


def _classes(arguments: Record) -> tuple[str, ...]:
    classes = tuple(normalize("NFC", name.strip()) for name in arguments.classes.split(","))
    if not all(classes) or len(set(classes)) < len(classes):
        raise InputError(
            f"--classes {arguments.classes}: give names joined with commas, each once, none blank"
        )
    if arguments.label or arguments.split != "pretrain":
        raise InputError("--classes labels the takes itself: leave out --label and --split")
    if arguments.background:
        raise InputError("--background: with --classes, give --backgrounds N for takes of none of them")
    if "-" in dict(arguments.sources).values():
        raise InputError(
            "--captions -: with --classes, standard input has the answers; name a file or a pipe"
        )
    for option, number, least in (
        ("--takes", arguments.takes, 1),
        ("--backgrounds", arguments.backgrounds, 0),
        ("--unlabelled", arguments.unlabelled, 0),
    ):
        if number < least:
            raise InputError(f"{option} {number}: give {least} or more")
    return classes


def _ask(question: str) -> str:
    """Print a question; return the answer in lower case, or an empty one at the end of the input."""
    remark(question)
    return sys.stdin.readline().strip().lower()
