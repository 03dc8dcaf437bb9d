"""An audit's scores under conditions: by sensor, as tables and in sentences."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.scores import CLEAN, ConditionScore
from sensemble_runtime.subsets import Subset
from sensemble_sensors.kinds.registry import KINDS
from sensemble_sensors.spec import KNOWN, device_name

from sensemble_apps.console.kinds import as_words, words_of
from sensemble_apps.console.wording import percent, sensor_words, words

_SHOWN = 4  # sets of sensors with a column each; of more, the sensor alone and all of them
_SHORT = 8  # letters of a modality that fit above a column of 80; of longer ones, the same two


@dataclass(frozen=True)
class ConditionRow:
    """The scores of one subset under one condition, mild first, or undegraded (`CLEAN`)."""

    condition: str
    scores: Sequence[ConditionScore]

    @property
    def accuracy(self) -> float:
        """The mean over the severities."""
        return fmean(one.score.accuracy for one in self.scores)

    @property
    def unsure(self) -> float:
        """The mean share of examples without a label."""
        return fmean(one.unsure for one in self.scores)

    @property
    def confidence(self) -> float:
        """The mean confidence."""
        return fmean(one.confidence for one in self.scores)

    @property
    def sure_right(self) -> float | None:
        """The share of the answers with a label that is right; None if there is none."""
        sure = [(1 - one.unsure, one.sure_right) for one in self.scores if one.sure_right is not None]
        total = sum(share for share, _ in sure)
        return sum(share * right for share, right in sure) / total if total else None

    @property
    def plain(self) -> float:
        """The mean accuracy if unfamiliar windows were pooled as well."""
        return fmean(one.plain for one in self.scores)

    @property
    def worst(self) -> ConditionScore:
        """The severity with the lowest score."""
        return min(self.scores, key=lambda one: one.score.accuracy)


Grid = Mapping[Subset, Sequence[ConditionRow]]
"""The rows of one sensor by subset, smallest first; the first row of each is `CLEAN`."""


def grids(scores: Sequence[ConditionScore]) -> dict[str, Grid]:
    """Gather an audit's scores by degraded modality."""
    by_modality: dict[str, dict[Subset, dict[str, list[ConditionScore]]]] = {}
    clean = {one.subset: one for one in scores if one.condition == CLEAN}
    for one in scores:
        if one.condition != CLEAN:
            rows = by_modality.setdefault(one.modality, {}).setdefault(subsets.parse(one.subset), {})
            rows.setdefault(CLEAN, [clean[one.subset]])
            rows.setdefault(one.condition, []).append(one)
    return {
        modality: {
            subset: [ConditionRow(name, some) for name, some in rows.items()] for subset, rows in grid.items()
        }
        for modality, grid in by_modality.items()
    }


def sensors(modality: str) -> str:
    """Return the words for one degraded sensor, or for several joined with `+`."""
    return words(_named(modality))


def _named(modality: str) -> list[str]:
    """Return the word for each degraded sensor, or for the device that their names begin with."""
    every = subsets.parse(modality)
    carriers = {device_name(m) for m in every}
    if len(every) > 1 and len(carriers) == 1 and "" not in carriers:
        return [as_words(device) for device in carriers]
    return [words_of(m).sensor for m in every]


def tables(scores: Sequence[ConditionScore], metric: str) -> Iterator[tuple[str, Table]]:
    """Yield a title and a table for each sensor: the mean over the severities, and the worst in brackets.

    The last columns are of all sensors; `classifier` is the score if every window counted
    in full.
    """
    for modality, grid in grids(scores).items():
        title = f"{sensors(modality)} degraded: {metric}, %, mean of the severities (worst)"
        table = Table(box=None)
        table.add_column("condition", no_wrap=True)
        alone, whole = min(grid, key=len), max(grid, key=len)
        named = len(grid) <= _SHOWN and max(map(len, whole)) <= _SHORT
        shown = [*grid] if named else [*dict.fromkeys((alone, whole))]
        for subset in shown:
            title_of = subsets.name(subset).replace("+", "+\n") if named else "all sensors"
            table.add_column("alone" if subset == alone else title_of, justify="right")
        for column in ("confidence", "unsure", "right if sure", "classifier"):
            table.add_column(column, justify="right")
        for rows in zip(*(grid[subset] for subset in shown), strict=True):
            cells = [
                percent(row.accuracy, 0)
                + (f" ({percent(row.worst.score.accuracy, 0)})" if len(row.scores) > 1 else "")
                for row in rows
            ]
            every = rows[-1]
            numbers = (every.confidence, every.unsure, every.sure_right, every.plain)
            last = [percent(number, 0) for number in numbers]
            table.add_row(rows[0].condition, *cells, *last, style="dim" if rows[0].condition == CLEAN else "")
        yield title, table


def sentences(scores: Sequence[ConditionScore], metric: str) -> Iterator[str]:
    """Yield the worst score and, by sensor, the worst condition, with all others and without one."""
    degraded = [one for one in scores if one.condition != CLEAN]
    if not degraded:
        return
    worst = min(degraded, key=lambda one: one.score.accuracy)
    yield (
        f"worst: {phrase_of(worst.modality, worst.condition)} ({worst.effect}), live "
        f"{sensor_words(subsets.parse(worst.subset))}: {_right(worst.score.accuracy, worst.unsure, metric)}"
    )
    for modality, grid in grids(scores).items():
        every = max(grid, key=len)
        row = min(grid[every][1:], key=lambda row: row.accuracy)
        phrase = phrase_of(modality, row.condition)
        yield f"with {phrase}: {_right(row.accuracy, row.unsure, metric)}"
        without = [
            (lost, other)
            for lost in every
            for other in grid.get(tuple(m for m in every if m != lost), ())
            if other.condition == row.condition
        ]
        if without:
            lost, other = min(without, key=lambda pair: pair[1].accuracy)
            spoken = f"with {phrase} and no {words_of(lost).sensor}"
            yield f"{spoken}: {_right(other.accuracy, other.unsure, metric)}"


def phrase_of(modality: str, condition: str) -> str:
    """Return a sensor, or several joined with `+`, under a condition, in words."""
    # An audit keeps no kinds; where the name implies none, any kind's words will do.
    implied = KNOWN.get(modality.partition(".")[0])
    kinds = sorted(KINDS.values(), key=lambda kind: kind.name != implied)
    every = (one for kind in kinds for one in kind.conditions if one.name == condition)
    phrase = next((one.phrase for one in every), f"{condition} {{}}")
    return words(re.sub("^a (?=[aeiou])", "an ", phrase.format(sensor)) for sensor in _named(modality))


def _right(accuracy: float, unsure: float, metric: str) -> str:
    value = (
        f"right {percent(accuracy, 0)} % of the time"
        if metric == "accuracy"
        else f"{metric} {percent(accuracy, 0)} %"
    )
    return f"{value}, unsure {percent(unsure, 0)} %"
