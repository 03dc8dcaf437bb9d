"""`sensemble history`: print the sessions and audits of a record."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.record.reader import (
    RecordedEvent,
    Run,
    read_events,
    read_moments,
    read_runs,
    read_stream_scores,
)
from sensemble_runtime.record.retention import TRIMMED
from sensemble_runtime.scores import StreamScore

from sensemble_apps.console.columns import table
from sensemble_apps.console.estimates import INTERVAL, ends, examples, percent_within
from sensemble_apps.console.output import remark, say, say_json
from sensemble_apps.console.wording import data_title, sensor_title, set_title
from sensemble_apps.errors import InputError
from sensemble_apps.integrations.heartbeats import recorded
from sensemble_apps.options import Common, File, OptionalOut, Positional
from sensemble_apps.running.view_events import event_as_json, event_line, shown_event
from sensemble_apps.tables import stream_table
from sensemble_apps.tables.heartbeats import write_heartbeats

LiveSince = tuple[float, tuple[str, ...]]
"""The time in seconds since 1970 from which a live set holds, and the set."""


@dataclass
class Presence:
    """The seconds of a modality in the live set and away from it."""

    live: float = 0.0
    away: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True)
class RecordSummary:
    """The summary of a session or an audit, with the scores of one of streams.

    Attributes:
        seconds: its length; without an end, to the last event or prediction.
        predictions: their number by live set. From here on, retention may have removed an older part.
        gap: the longest time without a prediction, in seconds.
    """

    run: Run
    seconds: float
    predictions: dict[str, int]
    gap: float
    modalities: dict[str, Presence]
    events: list[RecordedEvent]
    streams: list[StreamScore]

    def to_json(self) -> dict[str, Any]:
        """Return it as in `docs/reference/output.md`."""
        summary = asdict(self)
        run: dict[str, Any] = summary.pop("run")
        for internal in ("labels", "task", "chance"):
            del run[internal]
        events = [{"at": event.at, **event_as_json(shown_event(event))} for event in self.events]
        return run | summary | {"events": events}


@dataclass(frozen=True, kw_only=True)
class History(Common):
    """Print what a record holds: predictions by set of sensors, and how long each sensor was live or away."""

    record: Positional[File]
    """The SQLite file that `run --record` or `audit --record` wrote; it may still be in use."""
    heartbeats: OptionalOut = None
    """Write to this Parquet file, for `sensemble fleet`, by hour: how long each set was live, how many
    answers were unsure, and which faults came. It has no sensor data, no labels and no people's names."""
    device: str = "device"
    """The name of this device in the heartbeats."""
    model: str = ""
    """The model of this device in the heartbeats."""
    json: bool = False
    """Print it as JSON."""


def main(arguments: History) -> None:
    """Print each run of a record, as tables or as JSON, or write its heartbeats."""
    if arguments.heartbeats:
        if arguments.heartbeats.suffix != ".parquet":  # a mistyped name must not cost a record
            raise InputError(
                f"--heartbeats {arguments.heartbeats}: end the name in .parquet, as `fleet` reads"
            )
        write_heartbeats(arguments.heartbeats, recorded(arguments.record, arguments.device, arguments.model))
        say(str(arguments.heartbeats))
        return
    runs = [summarize(run, arguments.record) for run in read_runs(arguments.record)]
    if arguments.json:
        say_json({"runs": [run.to_json() for run in runs]}, indent=2)
        return
    if not runs:
        remark(f"{arguments.record}: holds no session and no audit; its command failed as it began")
    console = Console(markup=False, highlight=False)
    for run in runs:
        _show(run, console)


def summarize(run: Run, record: Path) -> RecordSummary:
    """Summarize a run of a record, without keeping its predictions in memory."""
    events = read_events(record, run.id)
    since = max([run.began, *(event.at for event in events if event.kind == TRIMMED)])
    counts: Counter[str] = Counter()
    last, gap = since, 0.0
    for at, live in read_moments(record, run.id):
        counts[subsets.name(live)] += 1
        last, gap = at, max(gap, at - last)
    end = run.ended if run.ended is not None else max([last, *(event.at for event in events)])
    live_sets = [(event.at, event.live) for event in events if event.kind == "live"]
    return RecordSummary(
        run,
        end - run.began,
        dict(sorted(counts.items())),
        max(gap, end - last),
        _presences(since, live_sets, end),
        [event for event in events if event.kind != "live"],
        read_stream_scores(record, run.id),
    )


def _presences(since: float, live_sets: Sequence[LiveSince], end: float) -> dict[str, Presence]:
    presences = {m: Presence() for m in sorted({m for _, live in live_sets for m in live})}
    gone = dict.fromkeys(presences, since)  # the start of an absence, by modality
    starts: list[LiveSince] = [(since, ()), *live_sets]
    for (start, live), (stop, _) in pairwise([*starts, (end, ())]):
        passed = stop - start
        for modality, presence in presences.items():
            if modality in live:
                presence.live += passed
                gone[modality] = stop
            else:
                presence.away += passed
                presence.longest = max(presence.longest, stop - gone[modality])
    return presences


def _show(summary: RecordSummary, console: Console) -> None:
    run = summary.run
    began = datetime.fromtimestamp(run.began).astimezone().isoformat(sep=" ", timespec="seconds")
    end = "" if run.ended is not None else ", without an end"
    console.print(f"{run.kind} {run.id}, {began}, {summary.seconds:.1f} s{end}", style="bold")
    of = "" if run.kind == "session" else f" on {data_title(run.dataset, run.split)}"
    console.print(f"bundle {run.bundle[:12]}{of}", style="dim")
    if run.kind == "audit":
        console.print(_table(("live", "score, %", INTERVAL, "examples"), _scores(run)))
    elif run.kind == "streams":
        if summary.streams:  # it was not interrupted
            console.print(stream_table.streams(summary.streams))
    else:
        console.print(
            _table(("live", "predictions"), ((_set(s), str(n)) for s, n in summary.predictions.items()))
        )
        console.print(_table(("sensor", "live, s", "away, s", "longest, s"), _rows(summary)))
        console.print(f"longest without a prediction: {summary.gap:.1f} s")
        for event in summary.events:
            line = event_line(shown_event(event, event.time - (event.at - run.began)))
            console.print(line, style="dim", soft_wrap=True)
    console.print()


def _set(name: str) -> str:
    return set_title(subsets.parse(name))


def _scores(run: Run) -> Iterator[tuple[str, ...]]:
    for name, score in run.scores.items():
        yield _set(name), percent_within(score.accuracy, score), ends(score), examples(score.n, score)
    for name, one in run.estimates.items():
        yield name, percent_within(one.value, one), ends(one), ""


def _rows(summary: RecordSummary) -> Iterable[tuple[str, ...]]:
    return (
        (sensor_title(modality), *(f"{seconds:.1f}" for seconds in (p.live, p.away, p.longest)))
        for modality, p in summary.modalities.items()
    )


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    drawn = table(titles[:1], titles[1:])
    for row in rows:
        drawn.add_row(*row)
    return drawn
