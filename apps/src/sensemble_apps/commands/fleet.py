"""`sensemble fleet`: the expected accuracy of a bundle on the devices that run it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.record.reader import read_runs
from sensemble_runtime.scores import SubsetScore

from sensemble_apps.console.estimates import INTERVAL, ends, percent_within
from sensemble_apps.console.output import say_json
from sensemble_apps.console.wording import percent, set_title
from sensemble_apps.errors import InputError
from sensemble_apps.options import Common, Folder, Positional, Texts
from sensemble_apps.tables.fleet import Deployed, fleet

_SHOWN = 10  # devices, those with the lowest expected accuracy


@dataclass(frozen=True, kw_only=True)
class Fleet(Common):
    """Weight the audited accuracy of each live set by how long devices had it live."""

    heartbeats: Positional[Folder]
    """A folder of Parquet files that `history --heartbeats` wrote, one or more for each device."""
    audit: Texts = ()
    """A record with the audit of a bundle (`audit --record`); the last of each bundle counts."""
    json: bool = False
    """Print it as JSON."""


def main(arguments: Fleet) -> None:
    """Print the expected accuracy by bundle, week and device, and what was never audited."""
    files = sorted(arguments.heartbeats.glob("*.parquet"))
    if not files:
        raise InputError(
            f"{arguments.heartbeats}: no *.parquet in it; `sensemble history RECORD --heartbeats FILE`"
        )
    audited: dict[str, dict[str, SubsetScore]] = {}
    for record in map(Path, arguments.audit):
        audited |= {run.bundle: run.scores for run in read_runs(record) if run.scores and run.ended}
    found = fleet(files, audited)
    if arguments.json:
        say_json(found.to_json(), indent=2)
        return
    console = Console(markup=False, highlight=False)
    console.print(_table("Expected accuracy as deployed, %", [*found.bundles, *found.weeks]))
    console.print(_table(f"The devices with the lowest, of {len(found.devices)}", found.devices[:_SHOWN]))
    for bundle, hours in found.unaudited.items():
        for live, count in hours.items():
            sensors = set_title(subsets.parse(live))
            console.print(f"never audited: {sensors}, {count:.1f} h (bundle {bundle[:12]})", soft_wrap=True)


def _table(title: str, rows: Iterable[Deployed]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for column in ("bundle", "week", "device"):
        table.add_column(column, overflow="fold")
    for column in ("devices", "hours", "audited", "expected", INTERVAL, "unsure"):
        table.add_column(column, justify="right")
    for one in rows:
        expected = ("", "") if one.accuracy is None else (_value(one), ends(one.accuracy))
        table.add_row(
            one.bundle[:12],
            one.week or "all",
            one.device or "all",
            str(one.devices),
            f"{one.hours:.1f}",
            percent(one.audited, 0),
            *expected,
            percent(one.unsure, 0),
        )
    return table


def _value(one: Deployed) -> str:
    return percent_within(one.accuracy.value, one.accuracy) if one.accuracy else ""
