"""`sensemble adapt`: learn from a recording, and show what sensors learned."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table
from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.progress import Progress
from sensemble_sensors.recording.reader import Recorded, is_recording
from sensemble_sensors.supervision.events import Event

from sensemble_apps.console.output import remark, say
from sensemble_apps.console.progress import progress
from sensemble_apps.console.wording import sensor_title
from sensemble_apps.errors import InputError
from sensemble_apps.options import BundleFolder, OptionalFolder, Positional, Trusting
from sensemble_apps.running import virtual_time
from sensemble_apps.running.inputs import examples_of
from sensemble_apps.running.real_time import Options
from sensemble_apps.running.view_events import Predicted, ViewEvents, event_line


@dataclass(frozen=True, kw_only=True)
class Adapt(Trusting):
    """Let the sensors of a recording teach each other: each gets a small correction.

    Corrections are kept beside the bundle, in `BUNDLE.learned`; to forget them, remove that folder.
    """

    bundle: Positional[BundleFolder]
    """A bundle folder; it is not changed."""
    replay: OptionalFolder = None
    """A recording, or another dataset, to learn from."""
    split: Annotated[str | None, "NAME"] = None
    """The split to learn from; by default, all examples."""
    show: bool = False
    """Print what each sensor has learned."""


def main(arguments: Adapt) -> None:
    """Learn from a replay, or only print what was learned."""
    if (arguments.replay is not None) == arguments.show:
        raise InputError("give --replay FOLDER to learn from it, or --show")
    bundle = Bundle.open(arguments.bundle, trust=arguments.trust)
    with Adapter(bundle) as adapter:
        if adapter.problem:
            remark(f"sensemble: {adapter.problem}")
        if arguments.replay is not None:
            _learn(arguments.replay, arguments, bundle, adapter)
            adapter.save()
    if not adapter.learners:
        raise InputError(
            f"{adapter.folder}: nothing was learned; a teacher must be live and sure at the same time"
        )
    Console().print(_table(adapter))
    if arguments.replay is not None:
        say(f"kept in {adapter.folder}; `sensemble run {arguments.bundle} --adapt` uses it, and learns on")


def _learn(replay: Path, arguments: Adapt, bundle: Bundle, adapter: Adapter) -> None:
    examples = examples_of(replay, arguments.split)
    played = Recorded(replay, examples, bundle.specs) if is_recording(replay) else examples
    with progress("learn") as report:
        stream = virtual_time.replay(bundle, played, Options(adapt=adapter))
        for event in _events(stream, len(examples), report):
            remark(event_line(event))


def _events(stream: ViewEvents, count: int, report: Progress) -> Iterator[Event]:
    seen: set[int] = set()
    for event in stream:
        if isinstance(event, Predicted) and event.example is not None:
            seen.add(event.example.line)
            report(len(seen), count)
        elif isinstance(event, Event) and event.kind in ("taught", "untaught"):
            yield event


def _table(adapter: Adapter) -> Table:
    table = Table("sensor", "windows", "agreement as shipped", "adapted", "in use", box=None, pad_edge=False)
    for sensor, learner in sorted(adapter.learners.items()):
        table.add_row(
            sensor_title(*sensor),
            str(learner.trial.windows),
            *(_share(share, learner.trial.scenes) for share in learner.trial.agreement),
            "yes" if learner.trial.used else "no: not enough evidence",
        )
    return table


def _share(share: float, scenes: int) -> str:
    if not scenes:
        return "no scene held back yet"
    low, high = wilson(share * scenes, scenes)
    return f"{100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f}) of {scenes} scenes"
