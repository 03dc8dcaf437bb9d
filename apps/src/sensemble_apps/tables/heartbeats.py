"""Heartbeats: what the sessions of a record came to, by hour and live set, without data, labels or people.

The columns of a Parquet file are those of `Heartbeat`; sums of rows are rows, so files of many devices merge.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from sensemble_runtime import subsets
from sensemble_runtime.record.reader import read_events, read_predictions, read_runs

HOUR = 3600.0
Key = tuple[float, str, str]  # hour, bundle, live set


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """An hour of a device with one bundle and one live set.

    Attributes:
        hour: its start.
        device: the name that the fleet gives it.
        bundle: the SHA-256 of the manifest.
        live: joined with `+`; empty while no sensor was live.
        seconds: how long the set was live.
        answers, unsure: the numbers of answers, and of those without a label.
    """

    hour: datetime
    device: str
    bundle: str
    live: str
    seconds: float
    answers: int
    unsure: int


def heartbeats(record: Path, device: str) -> list[Heartbeat]:
    """Return the heartbeats of a record's sessions, in order."""
    seconds: defaultdict[Key, float] = defaultdict(float)
    counts: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for run in read_runs(record):
        if run.kind == "session":
            predictions = read_predictions(record, run.id)
            events = read_events(record, run.id)
            last = max([*(one.at for one in predictions), *(one.at for one in events)], default=run.began)
            end = run.ended or last
            changes = [(one.at, one.text) for one in events if one.kind == "live"]
            for (start, live), (stop, _) in pairwise([(run.began, ""), *changes, (end, "")]):
                for hour, passed in _hours(start, stop):
                    seconds[hour, run.bundle, live] += passed
            for said in predictions:
                count = counts[said.at // HOUR * HOUR, run.bundle, subsets.name(said.live)]
                count[0] += 1
                count[1] += not said.sure
    return [
        Heartbeat(datetime.fromtimestamp(hour, UTC), device, bundle, live, seconds[key], *counts[key])
        for key in sorted({*seconds, *counts})
        for hour, bundle, live in (key,)
    ]


def _hours(start: float, stop: float) -> Iterator[tuple[float, float]]:
    """Yield the start of each hour in a span, and how much of it lies there."""
    while start < stop:
        hour = start // HOUR * HOUR
        yield hour, min(stop, hour + HOUR) - start
        start = hour + HOUR


def write_heartbeats(path: Path, rows: Iterable[Heartbeat]) -> None:
    """Write a Parquet file; one that exists is replaced as a whole."""
    import pyarrow as pa
    from pyarrow import parquet

    text, number = pa.string(), pa.int64()
    schema = pa.schema(
        [
            ("hour", pa.timestamp("s", "UTC")),
            ("device", text),
            ("bundle", text),
            ("live", text),
            ("seconds", pa.float64()),
            ("answers", number),
            ("unsure", number),
        ]
    )
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema)
    parquet.write_table(table, path)
