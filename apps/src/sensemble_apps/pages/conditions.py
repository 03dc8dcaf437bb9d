"""The report's heat maps of an audit under conditions: a table per sensor, a row per condition."""

from collections.abc import Sequence
from dataclasses import dataclass

from sensemble_runtime.subsets import CLEAN, ConditionScore, Subset
from sensemble_sensors.kinds.conditions.condition import SEVERITIES

from sensemble_apps.console.kinds import kind_of
from sensemble_apps.console.wording import percent
from sensemble_apps.runs.condition_table import Grid, grids


@dataclass(frozen=True)
class Cell:
    """A score under a condition."""

    score: float
    title: str


@dataclass(frozen=True)
class HeatMap:
    """The scores of one sensor under each of its conditions.

    Attributes:
        sensor: the sensor's word.
        columns: the title of each group of severities, and the score without a condition.
        rows: by condition, the cells of each group of severities; None where one was not measured.
    """

    sensor: str
    columns: Sequence[tuple[str, float]]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]


def heat_maps(scores: Sequence[ConditionScore]) -> list[HeatMap]:
    """Return a heat map for each degraded sensor: alone and, where there are others, beside all of them."""
    return [_heat_map(modality, grid) for modality, grid in grids(scores).items()]


def _heat_map(modality: str, grid: Grid) -> HeatMap:
    groups: dict[str, Subset] = {"alone": min(grid, key=len)}
    if len(grid) > 1:
        groups["with all sensors"] = max(grid, key=len)
    columns = [(title, grid[subset][0].accuracy) for title, subset in groups.items()]
    rows = []
    for place, row in enumerate(grid[groups["alone"]]):
        if row.condition == CLEAN:
            continue
        found = [{one.severity: one for one in grid[subset][place].scores} for subset in groups.values()]
        cells = [_cell(by_severity.get(severity)) for by_severity in found for severity in SEVERITIES]
        rows.append((row.condition, cells))
    return HeatMap(kind_of(modality).sensor, columns, rows)


def _cell(one: ConditionScore | None) -> Cell | None:
    if one is None:
        return None
    low, high = percent(one.score.low, 0), percent(one.score.high, 0)
    value = (
        f"{percent(one.score.accuracy, 0)} % ({low} to {high}), unsure {percent(one.unsure, 0)} %, "
        f"sure answers right in {percent(one.sure_right, 0)} %, all pooled {percent(one.plain, 0)} %"
    )
    return Cell(one.score.accuracy, f"{one.effect}: {value}")
