"""`sensemble history`: what a record holds, session by session and audit by audit."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.history import Run, read_moments, read_runs
from sensemble_runtime.scores import SubsetScore

from sensemble_apps.arguments import History
from sensemble_apps.names import SENSORS, percent
from sensemble_apps.output import say_json


@dataclass
class Presence:
    """How long a modality was in the live set, and how long not; in seconds.

    Attributes:
        live: in all.
        away: in all.
        longest: the longest that it was away at a time.
    """

    live: float = 0.0
    away: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True)
class Summary:
    """What a session or an audit came to.

    Attributes:
        id: of the run in the record.
        kind: `session` or `audit`.
        began: seconds since 1970.
        ended: seconds since 1970; None if it was interrupted or still runs.
        bundle: the SHA-256 of the bundle's manifest.
        dataset: what was audited.
        seconds: how long it lasted; without an end, to its last prediction.
        predictions: how many, by live set.
        gap: the longest time without a prediction, in seconds.
        modalities: of each that was ever live. What a prediction says is taken to hold until the next one.
        scores: of an audit, by subset.
    """

    id: int
    kind: str
    began: float
    ended: float | None
    bundle: str
    dataset: str | None
    seconds: float
    predictions: dict[str, int]
    gap: float
    modalities: dict[str, Presence]
    scores: dict[str, SubsetScore]


def main(arguments: History) -> None:
    """Print each run of a record, as tables or as JSON.

    Raises:
        RecordError: the file is no record, or cannot be read.
    """
    runs = [summarize(run, arguments.record) for run in read_runs(arguments.record)]
    if arguments.json:
        say_json({"runs": [asdict(run) for run in runs]}, indent=2)
        return
    console = Console()
    for run in runs:
        _show(run, console)


def summarize(run: Run, record: Path) -> Summary:
    """Read what a run of a record came to, in one pass and little memory.

    Raises:
        RecordError: the record cannot be read.
    """
    counts: Counter[str] = Counter()
    modalities: dict[str, Presence] = {}
    absent: dict[str, float] = {}  # since when, of those that are away
    last, live, gap = run.began, tuple[str, ...](), 0.0
    end: Iterable[tuple[float, tuple[str, ...]]] = [(run.ended, ())] if run.ended is not None else []
    for at, now in chain(read_moments(record, run.id), end):
        passed = max(0.0, at - last)  # somebody may have set the clock back
        gap = max(gap, passed)
        for modality in now:
            if modality not in modalities:
                modalities[modality] = Presence(away=max(0.0, last - run.began))
                absent[modality] = run.began
        for modality, presence in modalities.items():
            if modality in live:
                presence.live += passed
            else:
                presence.away += passed
                presence.longest = max(presence.longest, at - absent[modality])
            if modality not in now:
                absent.setdefault(modality, at)
            else:
                absent.pop(modality, None)
        if now:
            counts[subsets.name(now)] += 1
        last, live = at, now
    return Summary(
        run.id,
        run.kind,
        run.began,
        run.ended,
        run.bundle,
        run.dataset,
        last - run.began,
        dict(sorted(counts.items())),
        gap,
        dict(sorted(modalities.items())),
        run.scores,
    )


def _show(run: Summary, console: Console) -> None:
    began = datetime.fromtimestamp(run.began).astimezone().isoformat(sep=" ", timespec="seconds")
    end = "" if run.ended is not None else ", without an end"
    console.print(f"{run.kind} {run.id}, {began}, {run.seconds:.1f} s{end}", style="bold", highlight=False)
    of = f" on {run.dataset}" if run.dataset else ""
    console.print(f"bundle {run.bundle[:12]}{of}", style="dim", highlight=False)
    if run.kind == "audit":
        console.print(_table(("live", "score, %", "examples"), _scores(run)))
    else:
        console.print(_table(("live", "predictions"), ((s, str(n)) for s, n in run.predictions.items())))
        console.print(_table(("sensor", "live, s", "away, s", "longest, s"), _presences(run)))
        console.print(f"longest without a prediction: {run.gap:.1f} s", highlight=False)
    console.print()


def _scores(run: Summary) -> Iterable[tuple[str, ...]]:
    return ((name, percent(score.accuracy), str(score.n)) for name, score in run.scores.items())


def _presences(run: Summary) -> Iterable[tuple[str, ...]]:
    return (
        (SENSORS[modality], *(f"{seconds:.1f}" for seconds in (p.live, p.away, p.longest)))
        for modality, p in run.modalities.items()
    )


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(titles[0], box=None, pad_edge=False)
    for title in titles[1:]:
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(*row)
    return table
