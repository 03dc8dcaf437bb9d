"""`sensemble record`: sensors into a dataset that can be labelled, trained on and replayed."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sensemble_runtime.bundle.manifest import FILE_NAME, Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_sensors.devices.watcher import Watcher
from sensemble_sensors.recording.header import EVENTS, INDEX, form_of
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from sensemble_apps.arguments import Record
from sensemble_apps.commands.record_classes import record_classes
from sensemble_apps.console.output import remark, say
from sensemble_apps.console.progress import status
from sensemble_apps.errors import InputError
from sensemble_apps.running.capture import Capture
from sensemble_apps.running.capture_summary import CaptureSummary
from sensemble_apps.running.device_factory import returning
from sensemble_apps.running.sources import FORM, sensors

_NAMED = 5  # classes of a bundle that are listed if a label is none of them


def main(arguments: Record) -> None:
    """Record until the sensors end, the time is up or Ctrl-C comes; then print the amounts.

    Raises:
        InputError, BundleError, BadDataError, SensorUnavailableError: an argument cannot be used, or nothing
            was recorded; then no new folder is left behind.
        RecordingError: the folder cannot be written, or the disk is full.
    """
    _check(arguments)
    out = arguments.out
    manifest = (
        None if arguments.bundle is None else read_manifest(arguments.bundle / FILE_NAME, arguments.trust)
    )
    specs = FORM if manifest is None else {m: entry.spec for m, entry in manifest.modalities.items()}
    if manifest is not None:
        _remark_labels(arguments, manifest)
    existed, begun = out.exists(), (out / EVENTS).exists()
    try:
        if arguments.classes:
            record_classes(arguments, specs, _health(arguments))
        else:
            _record(arguments, specs)
    finally:
        # A folder without a segment is no dataset.
        if not begun and (out / INDEX).exists() and not (out / INDEX).stat().st_size:
            _clear(out)
            if not existed:
                out.rmdir()


def _record(arguments: Record, specs: Mapping[str, InputSpec]) -> None:
    """Record one take, until the sensors end, the time is up or Ctrl-C comes."""
    summary = CaptureSummary()
    recording = Recording(
        arguments.out,
        form_of(specs),
        seconds=arguments.segment,
        split=arguments.split,
        labels=arguments.label,
        background=arguments.background,
    )
    # Ctrl-C is how a recording ends.
    with recording, suppress(KeyboardInterrupt), sensors(arguments, specs) as found, status() as show:
        capture = Capture(found, specs, _health(arguments), summary)
        watcher = Watcher(returning(arguments.camera, arguments.captions), capture.found)
        # A short file is read as soon as it is opened, so `into` comes before. The watcher ends last, for its
        # search may take seconds, in which nothing is to be recorded.
        with watcher, capture.into(recording), capture:
            capture.record(recording, arguments.seconds, show)
    if not recording.segments:
        raise InputError("; ".join([f"{arguments.out}: nothing was recorded", *summary.silent]))
    for line in summary.silent:
        remark(line)
    say(f"{recording.segments} segments of {arguments.segment:g} s in {arguments.out}: {summary.amounts}")


def _clear(folder: Path) -> None:
    """Empty a folder, but keep it: its owner chose its permissions."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _check(arguments: Record) -> None:
    devices = {
        "--camera": arguments.camera,
        "--microphone": arguments.microphone,
        "--captions": arguments.captions,
    }
    if any(devices.values()) == (arguments.media is not None):
        but = ", and not both" if arguments.media else ""
        raise InputError(f"give --media FILE, or some of --camera, --microphone, --captions{but}")
    if arguments.trust is not None and arguments.bundle is None:
        raise InputError("--trust says whose bundle to take: give --bundle FOLDER too, or leave it out")
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
    """Return the thresholds: none for what is played; any picture rate where no bundle needs one."""
    if arguments.media is not None:
        return None
    return DEFAULT if arguments.bundle else replace(DEFAULT, picture_rate=0.0)
