"""An audit of streams as a table, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.scores import StreamScore

from sensemble_apps.console.columns import table
from sensemble_apps.console.estimates import INTERVAL
from sensemble_apps.console.wording import percent, set_title


def streams(scores: Sequence[StreamScore]) -> Table:
    """Return what each set of sensors found, false events an hour and delays, and states if there are any."""
    hours, spans = (max(getattr(one, name) for one in scores) for name in ("hours", "spans"))
    columns = ["found", "false/h", INTERVAL, "mistaken/h", "delay, s", "95 %"]
    lasting = any(one.f1 is not None for one in scores)
    columns += ["F1", "edits"] if lasting else []
    drawn = table(("live",), columns, f"Streams: {hours:.2g} hours, {spans} spans")
    for one in scores:
        title = set_title(subsets.parse(one.subset))
        row = [
            percent(one.found),
            f"{one.false_per_hour:.1f}",
            f"{one.low:.1f} to {one.high:.1f}",
            f"{one.mistaken / one.hours:.1f}",
            *("" if delay is None else f"{delay:.1f}" for delay in (one.delay, one.delay_95)),
        ]
        row += [percent(one.f1), percent(one.edits)] if lasting else []
        drawn.add_row(f"{title}, {one.condition}" if one.condition else title, *row)
    return drawn


def to_json(scores: Sequence[StreamScore]) -> list[dict[str, Any]]:
    """Return the scores for `json.dumps`, with their curves."""
    return [asdict(one) for one in scores]
