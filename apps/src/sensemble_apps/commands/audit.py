"""`sensemble audit`: how right a bundle is with every set of its sensors."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from sensemble_runtime import audit
from sensemble_runtime.audit import AuditResult
from sensemble_runtime.bundle import Bundle
from sensemble_sensors.dataset import read_dataset

from sensemble_apps.arguments import Audit
from sensemble_apps.errors import InputError
from sensemble_apps.names import percent
from sensemble_apps.output import say_json
from sensemble_apps.progress import progress


def main(arguments: Audit) -> None:
    """Print the score of each set of sensors, P and R, as a table or as JSON.

    Raises:
        InputError, BundleError, BadDataError, RecordError: something given cannot be used.
    """
    result = measure(arguments.bundle, arguments.data, arguments.split, arguments.record)
    if arguments.json:
        say_json(result.to_json(), indent=2)
    else:
        Console().print(_table(result))


def measure(bundle: Path, data: Path, split: str, record: Path | None) -> AuditResult:
    """Audit the bundle on a split of a dataset, with a progress bar.

    Raises:
        InputError, BundleError, BadDataError, RecordError: as `main`.
    """
    opened = Bundle.open(bundle)
    examples = read_dataset(data).split(split)
    if not examples:
        raise InputError(f"{data}: no example in split {split}; --split takes another")
    with progress("Auditing") as advance:
        return audit.audit(opened, examples, record=record, dataset=data.name, progress=advance)


def _table(result: AuditResult) -> Table:
    table = Table(title=f"{result.metric}, %", title_justify="left", box=None)
    table.add_column("live")
    table.add_column("score", justify="right")
    table.add_column("examples", justify="right")
    for name, score in result.subsets.items():
        style = "yellow" if name == result.worst else ""
        table.add_row(name, percent(score.accuracy), str(score.n), style=style)
    for name in result.unscored:
        table.add_row(name, percent(None), "0")
    table.add_section()
    table.add_row("P, the mean", percent(result.p))
    table.add_row("R, the worst", percent(result.r))
    return table
