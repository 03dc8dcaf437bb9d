"""`sensemble data split`: hold out whole groups of each class, for selection and for reporting."""

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.division import Division, divide
from sensemble_sensors.recording.editing import set_splits

from sensemble_apps.arguments import Common, Folder, Positional
from sensemble_apps.console.output import remark, say
from sensemble_apps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DataSplit(Common):
    """Hold out a third of each class, in whole groups, for selection (calibrate) and reporting (eval)."""

    folder: Positional[Folder]
    """A folder with `index.jsonl`, which is changed."""
    seed: int | None = None
    """Draw all anew by this seed; by default, what is held out stays so, and only the rest is drawn."""
    dry_run: bool = False
    """Only show the division."""


def main(arguments: DataSplit) -> None:
    """Print the division by class and write it to the index, all at once."""
    dataset = read_dataset(arguments.folder)
    division = divide(dataset, arguments.seed or 0, keep=arguments.seed is None)
    if not division.splits:
        raise InputError(
            f"{arguments.folder}: no example to train on has a label; label some, or record classes"
        )
    Console().print(_table(division))
    for line in division.shortages:
        remark(line)
    if arguments.dry_run:
        say("nothing is written: --dry-run")
    else:
        set_splits(arguments.folder, division.splits)
        say(str(arguments.folder / "index.jsonl"))


def _table(division: Division) -> Table:
    table = Table(title="Groups (and examples) of each class", title_justify="left")
    table.add_column("")
    for split in next(iter(division.shares.values())):
        table.add_column(split, justify="right")
    for label, shares in division.shares.items():
        table.add_row(escape(label), *(f"{share.groups} ({share.examples})" for share in shares.values()))
    return table
