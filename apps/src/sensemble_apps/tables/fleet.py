"""The accuracy of a fleet as deployed: that of each live set in an audit, weighted by its time in the field.

It is written in Ibis, which DuckDB runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import ibis
from ibis import _
from sensemble_runtime.scores import Estimate, SubsetScore

from sensemble_apps.errors import InputError
from sensemble_apps.tables.heartbeats import Heartbeat

_COLUMNS = {one.name for one in fields(Heartbeat)}


@dataclass(frozen=True, slots=True)
class Deployed:
    """A bundle on a fleet, in one week of it, or on one device.

    Attributes:
        week: its Monday, `2026-11-23`; empty of all.
        device: empty of all.
        hours: how long any sensor was live.
        audited: the share of that time with a live set that was audited.
        accuracy: expected in that time; None if there is none. Its ends weight those of the sets in the same
            way, which is wide: the sets were audited on the same examples.
        unsure: the share of the answers without a label; None without an answer.
    """

    bundle: str
    week: str
    device: str
    devices: int
    hours: float
    audited: float
    accuracy: Estimate | None
    unsure: float | None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The parts of a fleet, and by bundle the hours of each live set that was never audited."""

    bundles: list[Deployed]
    weeks: list[Deployed]
    devices: list[Deployed]  # the lowest expected accuracy first
    unaudited: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """Return it for `json.dumps`."""
        return asdict(self)


def fleet(files: Sequence[Path], audited: Mapping[str, Mapping[str, SubsetScore]]) -> Fleet:
    """Return what heartbeats tell of a fleet; `audited` has the scores of each bundle by live set.

    Raises InputError if a file is no Parquet file of heartbeats.
    """
    joined = _joined(files, audited)
    week = joined.mutate(week=_.hour.truncate("W").strftime("%Y-%m-%d"))
    lost = (
        joined.filter(_.accuracy.isnull()).group_by("bundle", "live").aggregate(hours=_.seconds.sum() / 3600)
    )
    unaudited: dict[str, dict[str, float]] = {}
    for row in lost.order_by(ibis.desc("hours")).to_pyarrow().to_pylist():
        unaudited.setdefault(row["bundle"], {})[row["live"]] = row["hours"]
    return Fleet(
        _deployed(joined, ["bundle"]),
        _deployed(week, ["bundle", "week"]),
        sorted(
            _deployed(joined, ["bundle", "device"]), key=lambda one: one.accuracy.value if one.accuracy else 2
        ),
        unaudited,
    )


def _joined(files: Sequence[Path], audited: Mapping[str, Mapping[str, SubsetScore]]) -> ibis.Table:
    """Return the heartbeats with a sensor live, each beside the score of its live set, or nulls."""
    connection = ibis.duckdb.connect()
    for path in files:
        try:
            columns = {*connection.read_parquet(str(path)).columns}
        except Exception as error:  # whatever DuckDB raises, of a file that a stranger wrote
            raise InputError(
                f"{path}: no Parquet file; `sensemble history RECORD --heartbeats {path}`"
            ) from error
        if columns != _COLUMNS:
            raise InputError(
                f"{path}: holds no heartbeats; its columns must be {', '.join(sorted(_COLUMNS))}"
            )
    rows = [
        {"bundle": bundle, "live": live, "accuracy": score.accuracy, "low": score.low, "high": score.high}
        for bundle, scores in audited.items()
        for live, score in scores.items()
    ]
    schema = ibis.schema(
        {"bundle": "string", "live": "string"} | dict.fromkeys(("accuracy", "low", "high"), "float")
    )
    table = connection.read_parquet([str(path) for path in files])
    return table.filter(_.live != "").left_join(ibis.memtable(rows, schema=schema), ["bundle", "live"])


def _deployed(joined: ibis.Table, by: list[str]) -> list[Deployed]:
    known = _.accuracy.notnull()
    found = joined.group_by(by).aggregate(
        devices=_.device.nunique(),
        seconds=_.seconds.sum(),
        known=_.seconds.sum(where=known),
        right=(_.seconds * _.accuracy).sum(),
        low=(_.seconds * _.low).sum(),
        high=(_.seconds * _.high).sum(),
        answers=_.answers.sum(),
        unsure=_.unsure.sum(),
    )
    return [
        Deployed(
            row["bundle"],
            row.get("week", ""),
            row.get("device", ""),
            row["devices"],
            row["seconds"] / 3600,
            (row["known"] or 0.0) / row["seconds"] if row["seconds"] else 0.0,
            Estimate(*(row[end] / row["known"] for end in ("right", "low", "high")))
            if row["known"]
            else None,
            row["unsure"] / row["answers"] if row["answers"] else None,
        )
        for row in found.order_by(by).to_pyarrow().to_pylist()
    ]
