"""The trade-off that a search found between size, latency and accuracy, as a table and a drawing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from sensemble_export.search import BudgetError, Option, best, front
from sensemble_runtime import subsets

from sensemble_apps.console.output import writing
from sensemble_apps.console.wording import abbreviation, percent

_SHOWN = 20
_CAPTION = (
    "on calibrate; worst: the score of the worst set; drop: points lost, on the set that loses most; "
    "*: some layers stay float"
)
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "sensemble", "font.size": 10}


def show(target: str, combinations: Sequence[Option], budget: Mapping[str, float], drawing: Path) -> None:
    """Print the combinations that no other beats, mark the chosen one, and draw all combinations."""
    try:
        chosen = best(combinations, dict(budget))
    except BudgetError:  # the caller reports it after this table, which shows it
        chosen = None
    console = Console()
    console.print(_table(target, combinations, chosen))
    with writing(drawing) as path:
        draw(target, combinations, chosen, path)
    console.print(f"{len(combinations)} combinations; all are drawn in {drawing}", highlight=False)


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
        schemes = [f"{job.scheme}{'*' if job.kept else ''}" for job in option.jobs]
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


def draw(target: str, combinations: Sequence[Option], chosen: Option | None, path: Path) -> None:
    """Draw the accuracy of the worst subset against size and against latency, as SVG."""
    best_of_all = front(combinations)
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        for axes, (cost, label) in zip(
            figure.subplots(1, 2, sharey=True),
            (("size", "size of the encoders, MB"), ("latency", "latency of all encoders, ms")),
            strict=True,
        ):
            for options, colour, size, name in (
                (combinations, "#b8c0c8", 12, "combination"),
                (best_of_all, "#1f6f8b", 28, "none is better"),
                ([chosen] if chosen else [], "#d1495b", 80, "chosen"),
            ):
                axes.scatter(
                    [option.costs()[cost] for option in options],
                    [100 * option.worst for option in options],
                    c=colour,
                    s=size,
                    linewidths=0,
                    label=name,
                )
            axes.set_xlabel(label)
            axes.grid(color="#e3e6e8", linewidth=0.7)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        figure.axes[0].set_ylabel("accuracy with the worst set of sensors, %")
        figure.axes[1].legend(frameon=False)
        figure.suptitle(f"{target}: the cost of each combination of schemes")
        figure.savefig(path, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
