"""Print the combinations of schemes that a search measured, by size, latency and accuracy."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from sensemble_export.search import BudgetError, Option, best, front
from sensemble_runtime import subsets

from sensemble_apps.console.wording import abbreviation, percent

_SHOWN = 20
_CAPTION = "on calibrate; worst: the score of the worst set; drop: points lost, on the set that loses most"


def show(target: str, combinations: Sequence[Option], budget: Mapping[str, float]) -> None:
    """Print the combinations that no other beats, and mark the chosen one."""
    try:
        chosen = best(combinations, dict(budget))
    except BudgetError:  # the caller reports it after this table, which shows it
        chosen = None
    console = Console()
    console.print(_table(target, combinations, chosen))
    console.print(f"{len(combinations)} combinations were measured", highlight=False)


def _table(target: str, combinations: Sequence[Option], chosen: Option | None) -> Table:
    table = Table(title=f"{target}: combinations that no other beats", title_justify="left", box=None)
    table.caption, table.caption_justify = _CAPTION, "left"
    modalities = [job.modality for job in combinations[0].jobs]
    for column in ("", *modalities):
        table.add_column(column)
    for column in ("MB", "ms", "worst, %", "drop", "on"):
        table.add_column(column, justify="right")
    shown = front(combinations)
    if chosen is not None and chosen not in shown:
        shown = [chosen, *shown]
    shown = [option for option in shown if option == chosen] + [o for o in shown if o != chosen][:_SHOWN]
    for option in sorted(shown, key=lambda option: option.size):
        schemes = [job.scheme for job in option.jobs]
        table.add_row(
            ">" if option == chosen else "",
            *schemes,
            f"{option.size / 1e6:.2f}",
            f"{option.latency:.2f}",
            percent(option.worst),
            f"{option.drop:.1f}",
            abbreviation(subsets.parse(option.dropped)),
            style="bold" if option == chosen else "",
        )
    return table
