"""An audit of streams as a table, beside another one, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.auditing.stream_comparison import StreamChange
from sensemble_runtime.scores import StreamScore

from sensemble_apps.console.columns import table
from sensemble_apps.console.estimates import INTERVAL
from sensemble_apps.console.wording import percent, set_title
from sensemble_apps.tables.comparison_table import chance, points


def columns(scores: Sequence[StreamScore]) -> list[str]:
    """Return the titles of the columns; those of states if there are any."""
    lasting = any(one.f1 is not None for one in scores)
    return [
        "found",
        "false/h",
        INTERVAL,
        "mistaken/h",
        "delay, s",
        "95 %",
        *(("F1", "edits") if lasting else ()),
    ]


def cells(score: StreamScore) -> list[str]:
    """Return the cells of a row, in the order of `columns`."""
    return [
        percent(score.found),
        f"{score.false_per_hour:.1f}",
        f"{score.low:.1f} to {score.high:.1f}",
        f"{score.mistaken / score.hours:.1f}",
        *("" if delay is None else f"{round(delay, 1) + 0.0:.1f}" for delay in (score.delay, score.delay_95)),
        *(() if score.f1 is None else (percent(score.f1), percent(score.edits))),
    ]


def title(score: StreamScore) -> str:
    """Return the set of sensors in words, and its condition, if any."""
    live = set_title(subsets.parse(score.subset))
    return f"{live}, {score.condition}" if score.condition else live


def amount(scores: Sequence[StreamScore]) -> str:
    """Return the hours, or the minutes, and the spans of the streams in words."""
    hours, spans = (max(getattr(one, name) for one in scores) for name in ("hours", "spans"))
    time = f"{hours:.2g} hours" if hours >= 1 else f"{60 * hours:.2g} minutes"
    return f"{time}, {spans} spans"


def streams(scores: Sequence[StreamScore]) -> Table:
    """Return what each set of sensors found, false events an hour and delays, and states if there are any."""
    drawn = table(("live",), columns(scores), f"Streams: {amount(scores)}")
    for one in scores:
        drawn.add_row(title(one), *cells(one))
    return drawn


CHANGES = ("found, A", "B", "B less A", "false/h, A", "B", "p")
CAPTION = (
    "found of the spans, in per cent, and false events an hour, in A and in B; B less A: in points, with the "
    "95 % interval of the difference as of other spans; p: of equally many false events, adjusted for the "
    "number of sets (Holm)"
)


def changes(found: Sequence[StreamChange]) -> Table:
    """Return what each set of sensors finds and tells in A and in B."""
    title_ = f"Streams: {amount([one.after for one in found])}"
    drawn = table(("live",), CHANGES, title_, caption=CAPTION, whole=True)
    for one in found:
        style = "yellow" if one.worse else "green" if one.better else ""
        drawn.add_row(title(one.after), *changed_cells(one), style=style)
    return drawn


def changed_cells(one: StreamChange) -> tuple[str, ...]:
    """Return the cells of a set, in the order of `CHANGES`."""
    sides = one.before, one.after
    return (
        *(percent(side.found) for side in sides),
        "" if one.found is None else points(one.found),
        *(f"{side.false_per_hour:.1f}" for side in sides),
        chance(one.p),
    )


def to_json(scores: Sequence[StreamScore]) -> list[dict[str, Any]]:
    """Return the scores for `json.dumps`, with their curves."""
    return [asdict(one) for one in scores]
