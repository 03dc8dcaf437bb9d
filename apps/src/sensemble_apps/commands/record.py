"""`sensemble record`: what sensors give, as a dataset that can be labelled, trained on and replayed."""

import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Condition
from time import monotonic

from sensemble_runtime.events import Kind, SensorEvent, explain
from sensemble_runtime.manifest import FILE_NAME, Manifest, read_manifest
from sensemble_runtime.reading import BESIDE, Reader, join
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.header import form_of
from sensemble_sensors.health import DEFAULT, Thresholds
from sensemble_sensors.recording import EVENTS, Recording
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.watcher import Appeared, Blind, News, Watcher

from sensemble_apps.arguments import Record
from sensemble_apps.errors import InputError
from sensemble_apps.live import change
from sensemble_apps.output import remark, say
from sensemble_apps.plugs import returning
from sensemble_apps.progress import status
from sensemble_apps.sources import sensors
from sensemble_apps.taken import Taken
from sensemble_apps.views import change_line

# Where no bundle says otherwise; of these, the rate of the sound and the size of the pictures count.
FORM = {
    "audio": InputSpec("audio", "float32", (1, 16000), rate=16000, window=1.0, hop=1.0, ttl=1.0),
    "text": InputSpec("text", "int64", (1, 1), rate=0, window=0, hop=0, ttl=1.0),
    "video": InputSpec("video", "uint8", (1, 30, 128, 128, 3), rate=30, window=1.0, hop=1.0, ttl=1.0),
}
_CHECK = 0.2  # seconds between two looks at the disk
_NAMED = 5  # classes of a bundle that are named, where a label is none of them


def main(arguments: Record) -> None:
    """Record until the sensors end, the time is up or Ctrl-C; then say how much there is.

    Raises:
        InputError, BundleError, BadDataError, SensorUnavailableError: something given cannot be used, or gave
            nothing; then a new folder is not left behind.
        RecordingError: the folder cannot be written, or the disk is full.
    """
    _check(arguments)
    manifest = None if arguments.bundle is None else read_manifest(arguments.bundle / FILE_NAME)
    specs = FORM if manifest is None else {m: entry.spec for m, entry in manifest.modalities.items()}
    taken = Taken()
    there = arguments.out.exists()
    begun = (arguments.out / EVENTS).exists()
    recording = Recording(
        arguments.out,
        specs["audio"].rate if "audio" in specs else FORM["audio"].rate,
        seconds=arguments.segment,
        split=arguments.split,
        labels=arguments.label,
        size=form_of(specs).get("video"),
    )
    if manifest is not None:
        _remark_labels(arguments, manifest)
    try:
        # Ctrl-C is how a recording ends.
        with recording, suppress(KeyboardInterrupt), sensors(arguments, specs) as found, status() as show:
            reading = _Reading(recording, found, specs, _health(arguments), taken)
            with Watcher(returning(arguments.camera, arguments.captions), reading.found):
                reading.run(arguments.seconds, show)
    finally:
        if not recording.segments and not begun:  # what is no dataset shall not look like one
            shutil.rmtree(arguments.out)
            if there:
                arguments.out.mkdir()
    if not recording.segments:
        raise InputError("; ".join([f"{arguments.out}: nothing was recorded", *taken.silent]))
    for line in taken.silent:
        remark(line)
    say(f"{recording.segments} segments of {arguments.segment:g} s in {arguments.out}: {taken.amounts}")


def _check(arguments: Record) -> None:
    devices = {
        "--camera": arguments.camera,
        "--microphone": arguments.microphone,
        "--captions": arguments.captions,
    }
    if any(devices.values()) == (arguments.media is not None):
        raise InputError("give --media FILE, or some of --camera, --microphone, --captions")
    for option, sources in devices.items():
        if len(sources) > 1:
            raise InputError(
                f"{option} {', '.join(sources)}: a recording has one of a kind; record each into a folder of "
                "its own"
            )
    for name, seconds in (("--segment", arguments.segment), ("--seconds", arguments.seconds)):
        if seconds is not None and not 0.1 <= seconds < float("inf"):
            raise InputError(f"{name} {seconds:g}: give 0.1 or more")


def _remark_labels(arguments: Record, manifest: Manifest) -> None:
    strange = [label for label in arguments.label if label not in manifest.labels]
    if strange:
        first = ", ".join(manifest.labels[:_NAMED]) + (", ..." if len(manifest.labels) > _NAMED else "")
        remark(f"--label {', '.join(strange)}: no class of {arguments.bundle}, which knows {first}")


def _health(arguments: Record) -> Thresholds | None:
    """What is played is well; and where no bundle needs a rate, a camera's own is right."""
    if arguments.media is not None:
        return None
    return DEFAULT if arguments.bundle else replace(DEFAULT, picture_rate=0.0)


class _Reading:
    """Sensors, each read by a thread of its own, whose samples and fates go into a recording.

    While one is unwell by `health`, what it gives is left out.
    """

    def __init__(
        self,
        recording: Recording,
        found: Sequence[Sensor],
        specs: Mapping[str, InputSpec],
        health: Thresholds | None,
        taken: Taken,
    ) -> None:
        self._recording = recording
        self._taken = taken
        self._rate = specs["audio"].rate if "audio" in specs else 0.0
        self._began = monotonic()
        self._changed = Condition()
        self._any = False  # whether one could be opened
        for sensor in found:
            if sensor.modality not in specs:
                raise InputError(f"{sensor.name}: the bundle has no {sensor.modality}; leave it out")
            taken.expect(sensor)
        self._readers = [
            Reader(
                s.name,
                s,
                specs[s.modality],
                health,
                (),
                opened=self._opened,
                gave=self._gave,
                felt=self._felt,
                beside=self._beside,
                failed=self._failed,
            )
            for s in found
        ]

    def run(self, seconds: float | None, show: Callable[[str], None]) -> None:
        """Read until all sensors have ended, or for `seconds` from the first sample; `show` how it goes."""
        for reader in self._readers:
            reader.thread.start()
        length = math.inf if seconds is None else seconds
        try:
            # A camera takes seconds to open, which are not recorded.
            while (rest := self._taken.began + length - monotonic()) > 0:
                if all(reader.stopped.is_set() for reader in self._readers):
                    break
                self._recording.check()
                with self._changed:
                    self._changed.wait(min(_CHECK, rest))
                self._check_first()
                show(self._taken.status(self._recording.segments))
        finally:
            for reader in self._readers:
                reader.stop()
            if left := join(self._readers):
                names = ", ".join(reader.name for reader in left)
                sys.stderr.write(f"sensemble: {names}: did not stop in time; its thread is left behind\n")

    def found(self, news: News) -> None:
        """Try a sensor at once when a watcher sees that it is back."""
        if isinstance(news, Blind):
            sys.stderr.write(f"sensemble: {news.reason}\n")
        elif isinstance(news, Appeared):
            for reader in self._readers:
                if reader.modality == news.device.modality:
                    reader.retry()

    def _check_first(self) -> None:
        told = list(self._taken.told.values())
        absent = len(told) == len(self._readers) and all(event.kind == "unavailable" for event in told)
        if absent and not self._any:
            raise SensorUnavailableError("; ".join(event.reason for event in told))

    def _opened(self, reader: Reader) -> None:
        self._any = True
        self._tell(SensorEvent(monotonic(), reader.name, reader.modality, "attached", ""))

    def _gave(self, _: Reader, sample: Sample) -> None:
        self._taken.add(sample, self._rate)
        self._recording.put(sample)

    def _felt(self, reader: Reader, wrong: tuple[str, ...]) -> None:
        kind: Kind = "unwell" if wrong else "well"
        self._tell(SensorEvent(monotonic(), reader.name, reader.modality, kind, "; ".join(wrong)))

    def _beside(self, reader: Reader) -> float | None:
        return next((r.lag for r in self._readers if r.modality == BESIDE.get(reader.modality)), None)

    def _failed(self, reader: Reader, error: Exception) -> None:
        kind, reason = explain(error)
        if kind in ("ended", "failed"):
            reader.stop()
        self._tell(SensorEvent(monotonic(), reader.name, reader.modality, kind, reason))

    def _tell(self, event: SensorEvent) -> None:
        with self._changed:
            last = self._taken.told.get(event.name)
            if last is None or (last.kind, last.reason) != (event.kind, event.reason):
                self._recording.event(event.name, event.modality, event.kind, event.reason)
                sys.stderr.write(change_line(change(event, self._began)) + "\n")
            self._taken.tell(event)
            self._changed.notify_all()
