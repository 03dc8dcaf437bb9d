"""`sensemble record --classes`: takes of each class in turn, by a countdown, that are kept or deleted."""

import sys
from collections.abc import Mapping
from contextlib import suppress

from sensemble_sensors.devices.watcher import Watcher
from sensemble_sensors.recording.header import form_of
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from sensemble_apps.arguments import Record
from sensemble_apps.console.output import remark, say
from sensemble_apps.console.progress import status
from sensemble_apps.errors import InputError
from sensemble_apps.running.capture import Capture
from sensemble_apps.running.capture_summary import CaptureSummary
from sensemble_apps.running.device_factory import returning
from sensemble_apps.running.sources import sensors
from sensemble_apps.running.takes import TakeRecorder, plan, record_all, takes_in

_SECONDS = 3.0
"""The length of a take, where none is given."""


def record_classes(arguments: Record, specs: Mapping[str, InputSpec], health: Thresholds | None) -> None:
    """Record takes until there are enough, the user quits or Ctrl-C comes; then print how many there are.

    Raises:
        InputError, BadDataError, SensorUnavailableError: an argument cannot be used, or nothing was recorded.
        RecordingError: the folder cannot be written, or the disk is full.
    """
    wanted = plan(_classes(arguments), arguments.takes, arguments.backgrounds, arguments.unlabelled)
    seconds = _SECONDS if arguments.seconds is None else arguments.seconds
    summary = CaptureSummary()
    # Ctrl-C ends the sitting; the takes before it stay.
    with suppress(KeyboardInterrupt), sensors(arguments, specs) as found, status() as show:
        capture = Capture(found, specs, health, summary)
        recorder = TakeRecorder(arguments.out, form_of(specs), capture, seconds, arguments.segment)
        with capture, Watcher(returning(arguments.camera, arguments.captions), capture.found):
            capture.wait_for_first(show)
            record_all(recorder, wanted, _ask, show)
    takes = takes_in(arguments.out)
    if not takes:
        raise InputError("; ".join([f"{arguments.out}: nothing was recorded", *summary.silent]))
    counts = {each.title: len(each.of(takes)) for each in wanted}
    amounts = ", ".join(f"{count} {title}" for title, count in counts.items() if count)
    say(f"{len(takes)} takes in {arguments.out}: {amounts}")
    remark(f"hold some of them out: sensemble data split {arguments.out} --by group")


def _classes(arguments: Record) -> tuple[str, ...]:
    classes = tuple(name.strip() for name in arguments.classes.split(","))
    if not all(classes) or len(set(classes)) < len(classes):
        raise InputError(
            f"--classes {arguments.classes}: give names joined with commas, each once, none blank"
        )
    if arguments.label or arguments.background or arguments.split != "pretrain":
        raise InputError("--classes labels the takes itself: leave out --label, --background and --split")
    if "-" in arguments.captions:
        raise InputError(
            "--captions -: with --classes, standard input has the answers; name a file or a pipe"
        )
    for option, number in (
        ("--takes", arguments.takes),
        ("--backgrounds", arguments.backgrounds),
        ("--unlabelled", arguments.unlabelled),
    ):
        if number < (option == "--takes"):
            raise InputError(f"{option} {number}: give {int(option == '--takes')} or more")
    return classes


def _ask(question: str) -> str:
    """Print a question and return the answer, lower case; empty at the end of the input, to go on alone."""
    remark(question)
    return sys.stdin.readline().strip().lower()
