"""An audit's scores as a table, in sentences, and as CSV."""

import csv
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.subsets import Estimate

from sensemble_apps.console.estimates import INTERVAL, at_chance, change, ends, examples, percent_within
from sensemble_apps.console.kinds import kind_of
from sensemble_apps.console.output import writing
from sensemble_apps.console.wording import percent

_COLUMNS = ("name", "metric", "value", "low", "high", "n", "too_few", "chance", "at_chance", "condition")


def table(result: AuditResult, saving: AuditResult | None = None) -> Table:
    """Return the score of each set of sensors, P and R; with `saving`, also its scores with a duty."""
    drawn = Table(title=f"{result.metric}, %", title_justify="left", box=None)
    drawn.add_column("live", overflow="fold")  # cut short, the sets would look alike
    for column in ("score", INTERVAL, *(["with duty"] if saving else []), "examples"):
        drawn.add_column(column, justify="right")

    def saved(value: float, interval: Estimate) -> list[str]:
        return [percent_within(value, interval)] if saving else []

    for name, score in result.subsets.items():
        with_duty = saving.subsets[name] if saving else score
        drawn.add_row(
            name,
            percent_within(score.accuracy, score),
            ends(score),
            *([percent_within(with_duty.accuracy, with_duty)] if saving else []),
            examples(score.n, score),
            style="dim" if score.too_few else "yellow" if name == result.worst else "",
        )
    for name in result.unscored:
        drawn.add_row(name, percent(None), percent(None), *([percent(None)] if saving else []), "none")
    drawn.add_section()
    for title, one, other in (
        ("P, the mean", result.mean, saving.mean if saving else None),
        ("R, the worst", result.least, saving.least if saving else None),
    ):
        drawn.add_row(
            title, percent_within(one.value, one), ends(one), *(saved(other.value, other) if other else [])
        )
    if saving:
        spared = ", ".join(f"{m} {n}" for m, n in sorted(saving.saved.items()))
        drawn.caption = f"windows that duty saved, in {result.examples} examples: {spared}"
        drawn.caption_justify = "left"
    return drawn


def sentences(result: AuditResult) -> Iterator[str]:
    """Yield the loss of each sensor, those that may be no better than chance, and what is independent."""
    for modality, drop in result.drops.items():
        before = result.subsets[subsets.name(result.drops)].accuracy
        yield f"If {kind_of(modality).loss}, {change(result.metric, before, drop)}."
    for name in result.at_chance:
        if "+" not in name:
            yield at_chance(name, result.subsets[name], result.chance[name])
    if result.groups < result.examples:
        yield (
            f"The {result.examples} examples are of {result.groups} independent groups, "
            "which the intervals allow for."
        )


def write_csv(result: AuditResult, path: Path) -> None:
    """Write every score, with its interval and number of examples, as fractions.

    There is a row for each set of sensors, for P, for R, and for the drop without each sensor; then for each
    set under each condition, such as `audio=quiet:3`.
    """
    with writing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_COLUMNS)
        for name, score in result.subsets.items():
            judged = (score.n, int(score.too_few), result.chance[name], int(name in result.at_chance))
            rows.writerow((name, result.metric, score.accuracy, score.low, score.high, *judged, ""))
        for name in result.unscored:
            rows.writerow((name, result.metric, "", "", "", 0, 1, "", "", ""))
        n = {name: score.n for name, score in result.subsets.items()}
        every = max(n, key=lambda name: len(subsets.parse(name)))
        counts = {"P": min(n.values()), "R": n[result.worst]}
        for name, one in result.estimates.items():
            numbers = (one.value, one.low, one.high, counts.get(name, n[every]), int(one.too_few))
            rows.writerow((name, result.metric, *numbers, "", "", ""))
        for degraded in result.conditions:
            if degraded.modality:  # without a degradation, the scores are above
                score, condition = (
                    degraded.score,
                    f"{degraded.modality}={degraded.condition}:{degraded.severity}",
                )
                numbers = (score.accuracy, score.low, score.high, score.n, int(score.too_few))
                rows.writerow((degraded.subset, result.metric, *numbers, "", "", condition))
