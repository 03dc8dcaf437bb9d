"""`sensemble fleet`: the expected accuracy of a bundle on the devices that run it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.auditing.recorded import check_whole, complete_audits
from sensemble_sensors.errors import printable

from sensemble_apps.console.columns import table
from sensemble_apps.console.output import say, say_json, write
from sensemble_apps.console.wording import sensor_title, set_title
from sensemble_apps.options import Common, OptionalOut, Positional, Texts
from sensemble_apps.tables import fleet_table
from sensemble_apps.tables.fleet import Deployed, fleet

_SHOWN = 10  # devices, those with the lowest expected accuracy, and faults


@dataclass(frozen=True, kw_only=True)
class Fleet(Common):
    """Weight the audited accuracy of each live set by how long devices had it live."""

    heartbeats: Positional[tuple[str, ...]]
    """Parquet files that `--output heartbeats=FOLDER` keeps, or that `history --heartbeats` wrote, or folders
    of them, also in folders below; paths or URLs such as `s3://BUCKET/FOLDER` (fsspec)."""
    audit: Texts = ()
    """A record with the audit of a bundle (`audit --record`); the newest audit of each bundle counts."""
    engine: Annotated[str | None, "MASTER"] = None
    """The master of a Spark cluster, such as `spark://HOST:7077`; all its machines must reach the files by
    these names. By default, DuckDB on this machine."""
    out: OptionalOut = None
    """Write a page."""
    json: bool = False
    """Print it as JSON."""


def main(arguments: Fleet) -> None:
    """Print the expected accuracy by part of the fleet, what costs most, and what was never audited."""
    audits = [(run, record) for record in map(Path, arguments.audit) for run in complete_audits(record)]
    newest = {
        run.bundle: (run, record) for run, record in sorted(audits, key=lambda pair: pair[0].ended or 0)
    }
    for run, record in newest.values():
        check_whole(record, run)
    audited = {bundle: run.scores for bundle, (run, _) in newest.items()}
    found = fleet(arguments.heartbeats, audited, arguments.engine)
    if arguments.out:
        from sensemble_apps.report import fleet_page  # matplotlib takes a while

        write(arguments.out, fleet_page.render(found, datetime.now(UTC)))
    if arguments.json:
        say_json(found.to_json(), indent=2)
        return
    console = Console(markup=False, highlight=False)
    parts = [("all", one) for one in found.bundles]
    parts += [(one.model or "unknown", one) for one in found.models]
    parts += [(one.week, one) for one in found.weeks]
    console.print(_parts("Expected accuracy as deployed, %", parts))
    devices = [(one.device or "unknown", one) for one in found.devices[:_SHOWN]]
    console.print(_parts(f"The devices with the lowest, of {len(found.devices)}", devices))
    faults = [(fleet_table.fault_title(one), one.bundle, *fleet_table.fault(one)) for one in found.faults]
    _print(console, "Faults, % of all answers", ("fault", *fleet_table.FAULT), faults[:_SHOWN])
    unlike = [(one.device, one.bundle, *fleet_table.unlike(one)) for one in found.unlike]
    _print(console, "Devices unlike their peers", ("device", *fleet_table.UNLIKE), unlike[:_SHOWN])
    for bundle, hours in found.unaudited.items():
        for live, count in hours.items():
            sensors = set_title(subsets.parse(live))
            say(f"never audited: {sensors}, {count:.1f} h (bundle {bundle[:12]})")
    for bundle, hours in found.asleep.items():
        for modality, count in hours.items():
            say(f"asleep: {sensor_title(modality)}, {count:.1f} h (bundle {bundle[:12]})")
    if arguments.out:
        say(str(arguments.out))


def _print(console: Console, title: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    if rows:
        console.print(_table(title, columns, rows))


def _parts(title: str, parts: Iterable[tuple[str, Deployed]]) -> Table:
    rows = [(name, one.bundle, *fleet_table.part(one)) for name, one in parts]
    return _table(title, ("part", *fleet_table.PART), rows)


def _table(title: str, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Table:
    drawn = table((columns[0], "bundle"), columns[1:], title)
    for name, bundle, *cells in rows:
        drawn.add_row(*map(printable, (name, bundle[:8], *cells)))  # the names are a device's
    return drawn
