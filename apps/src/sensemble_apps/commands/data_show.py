"""`sensemble data show`: what a dataset holds, and which of its lines are bad."""

from collections import Counter

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_sensors.dataset import SPLITS, Example, read_dataset

from sensemble_apps.arguments import DataShow


def main(arguments: DataShow) -> None:
    """Print counts by split, modalities and labels, then every bad line.

    Raises:
        BadDataError: there is no index, or no good line in it.
    """
    dataset = read_dataset(arguments.folder, skip_bad=True)
    console = Console()
    sets = Counter((example.split, subsets.name(example.modalities)) for example in dataset.examples)
    console.print(_table("Modalities", sets))
    labels = Counter((e.split, label) for e in dataset.examples for label in _labels(e))
    console.print(_table("Labels", labels))
    for reason in dataset.skipped:
        console.print(reason, style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(dataset.examples)} good examples, {len(dataset.skipped)} bad lines", highlight=False)


def _labels(example: Example) -> tuple[str, ...]:
    return example.labels or ("(none)",)


def _table(title: str, counts: Counter[tuple[str, str]]) -> Table:
    """Return a table of counts: a row a name, a column a split."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for split in SPLITS:
        table.add_column(split, justify="right")
    for name in sorted({name for _, name in counts}):
        table.add_row(name, *(str(counts[split, name]) for split in SPLITS))
    return table
