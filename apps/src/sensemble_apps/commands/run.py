"""`sensemble run`: a bundle on live sensors, on a media file or on a replay of a dataset."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.record.retention import Retention
from sensemble_sensors.clock import REAL
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.recording.reader import is_recording
from sensemble_sensors.thresholds import DEFAULT

from sensemble_apps.console.conditions import described, parse_applied
from sensemble_apps.console.output import remark, say_executors, write
from sensemble_apps.console.wording import words
from sensemble_apps.errors import Ended, InputError
from sensemble_apps.options import OptionalFile, OptionalOut, Running, Texts
from sensemble_apps.running import real_time, virtual_time
from sensemble_apps.running.inputs import playable, sensor_of
from sensemble_apps.running.outputs import JsonOutput, LineOutput, Output, Outputs, open_output
from sensemble_apps.running.real_time import Options, come_and_go
from sensemble_apps.running.run_summary import RunSummary
from sensemble_apps.running.view_events import Predicted, ViewEvent, ViewEvents


@dataclass(frozen=True, kw_only=True)
class Run(Running):
    """Run a bundle on live sensors, or replay a dataset, a recording or a media file."""

    budget: Annotated[float, "SHARE"] = 1.0
    """The share of the time, up to 1, in which encoders may run; if they need more, they run less often."""
    threads: int = 0
    """ExecuTorch's threads; 0 for one per performance core, or for one if the export found that
    all cores save less than 5 ms a window."""
    duty: bool = False
    """Skip windows that differ little from the last one encoded, and print the savings; a replay
    of labelled data also prints the cost in right answers."""
    fast: bool = False
    """Replay as fast as possible, with one prediction per example."""
    unplug: bool = False
    """Unplug sensors and plug them back during the replay."""
    condition: Annotated[Texts, "SENSOR=NAME:SEVERITY"] = ()
    """Degrade a sensor by a stated amount, such as `microphone=quiet:3` or `video=dark:5`, with a severity
    from 1 to 5; an unknown name prints a list."""
    examples: int | None = None
    """Play only the first N examples."""
    limit: int | None = None
    """Stop after N predictions."""
    record: OptionalFile = None
    """Record every prediction in this SQLite file."""
    adapt: bool = False
    """Let sensors teach each other, and use corrections learned here or by `sensemble adapt`."""
    keep: Annotated[str | None, "BOUNDS"] = None
    """Keep the record within an age, a size or both, such as `30d`, `12h`, `2GB` or `30d,2GB`, by removing
    the oldest part. The default size is 1 GB."""
    summary: OptionalOut = None
    """Write the cost of a run in real time to this JSON file: memory, processor time, time a window."""
    windows: bool = False
    """Print the answer of each window too, as a fast replay does, and not only what begins and ends."""
    json: bool = False
    """Print one JSON object per prediction and, except in a fast replay, one per event of a sensor."""


def main(arguments: Run) -> None:
    """Show predictions until the sensors end, the limit is reached or Ctrl-C comes; then sum them up."""
    _check(arguments)
    bundle = Bundle.open(arguments.bundle, trust=arguments.trust)
    say_executors(bundle.executors)
    conditions = [one for text in arguments.condition for one in parse_applied(text, bundle.specs)]
    for applied in conditions:
        remark(f"condition: {described(applied)}")
    summary = RunSummary(None if arguments.fast else REAL)
    try:
        with ExitStack() as stack:
            shown = [_shown(arguments, bundle, conditions)]
            shown += [open_output(text, bundle) for text in arguments.output]
            # The summary first, so that all that was shown is counted whenever it is stopped.
            outputs = Outputs([summary, *map(stack.enter_context, shown)])
            # Closing the generator closes its session, also when the limit ends it early.
            events = stack.enter_context(closing(play(arguments, bundle, conditions)))
            for event in _limited(events, arguments.limit):
                outputs.show(event)
    except KeyboardInterrupt as stop:
        if arguments.replay is None and arguments.media is None:
            raise Ended(*stop.args) from None
        raise
    finally:
        for line in summary.lines:
            remark(line)
        if arguments.summary is not None:
            write(arguments.summary, json.dumps(summary.to_json(), indent=2) + "\n")


def _check(arguments: Run) -> None:
    arguments.check_sources(needed=True)
    of_a_replay = {
        "--split": arguments.split is not None,
        "--examples": arguments.examples is not None,
        "--fast": arguments.fast,
        "--unplug": arguments.unplug,
    }
    if arguments.replay is None and any(of_a_replay.values()):
        given = words(option for option, is_given in of_a_replay.items() if is_given)
        raise InputError(f"{given}: only for --replay; leave it out, or replay a dataset")
    if arguments.unplug and arguments.replay is not None and is_recording(arguments.replay):
        raise InputError("--unplug is for a dataset; in a recording, sensors come and go as they did")
    timed = {"--record": arguments.record, "--output": arguments.output, "--summary": arguments.summary}
    for name, named in timed.items():
        if arguments.fast and named:
            raise InputError(f"{name} is for real time; the times of a fast replay are made up")
    live = {
        "--budget is for real time; a fast replay encodes every window, so leave it out": arguments.budget
        < 1,
        "--adapt is for real time; `sensemble adapt --replay` learns from a replay": arguments.adapt,
        "--sparing is for real time; `sensemble audit --sparing` needs none": arguments.sparing,
    }
    for refusal, is_given in live.items():
        if arguments.fast and is_given:
            raise InputError(refusal)
    if arguments.keep is not None and arguments.record is None:
        raise InputError("--keep: only for --record; leave it out, or name a record")
    for name, count in (("--limit", arguments.limit), ("--examples", arguments.examples)):
        if count is not None and count < 1:
            raise InputError(f"{name} {count}: give 1 or more")


def play(arguments: Run, bundle: Bundle, conditions: Sequence[Applied] = ()) -> ViewEvents:
    """Yield predictions from the named sources, degraded by `conditions`, and changes of the sensors."""
    with Adapter(bundle) if arguments.adapt else nullcontext() as adapt:
        keep = None if arguments.keep is None else Retention.parse(arguments.keep)
        policy = Policy(
            threads=arguments.threads,
            budget=arguments.budget,
            duty=arguments.duty,
            unfamiliar=arguments.unfamiliar,
            sparing=arguments.sparing,
        )
        options = Options(policy, arguments.record, keep, conditions, adapt)
        if arguments.replay is not None:
            replay = (virtual_time if arguments.fast else real_time).replay
            played = playable(arguments.replay, arguments.split, bundle.specs, arguments.examples)
            schedule = come_and_go(bundle.specs) if arguments.unplug else None
            yield from replay(bundle, played, options, schedule)
            return
        with arguments.sensors(bundle.specs) as sensors:
            yield from real_time.devices(
                bundle,
                sensors,
                options,
                health=None if arguments.media is not None else DEFAULT,
                finders=arguments.finders(bundle.specs),
                make=partial(sensor_of, bundle.specs, in_process=arguments.in_process)
                if arguments.watch
                else None,
            )


def _limited(events: Iterator[ViewEvent], limit: int | None) -> Iterator[ViewEvent]:
    predictions = 0
    for event in events:
        yield event
        predictions += isinstance(event, Predicted)
        if predictions == limit:
            return


def _shown(arguments: Run, bundle: Bundle, conditions: Sequence[Applied]) -> AbstractContextManager[Output]:
    if arguments.json:
        return nullcontext(JsonOutput(events=not arguments.fast, conditions=conditions))
    devices = arguments.replay is None and arguments.media is None
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":  # which cannot redraw
        from sensemble_apps.running.terminal import TerminalOutput  # only a terminal needs rich

        return TerminalOutput(bundle, conditions, devices=devices)
    return nullcontext(LineOutput(windows=arguments.windows or arguments.fast, devices=devices))
