"""Two audits beside each other, as a table and in sentences."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from statistics import fmean

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.comparison import ALPHA, Comparison, SetComparison
from sensemble_runtime.auditing.recorded import complete_audits, recorded_audit
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.record.reader import read_runs, read_stream_scores
from sensemble_runtime.scores import CLEAN, ConditionScore, Estimate, StreamScore
from sensemble_sensors.errors import counted

from sensemble_apps.console.columns import table
from sensemble_apps.console.estimates import TOO_FEW
from sensemble_apps.console.wording import data_title, percent, sensor_words, set_title
from sensemble_apps.tables.condition_table import phrase_of
from sensemble_apps.tables.run_folder import bundle_title

COLUMNS = ("A", "B", "B less A", "gained", "lost", "p")
CAPTION = (
    "right answers of a session, in per cent; B less A: in points, with the 95 % interval of the difference; "
    "gained, lost: examples that B alone, or A alone, answers right; p: McNemar's test, "
    "adjusted for the number of sets (Holm)"
)


Names = tuple[str, str]
"""Of A and of B, in sentences."""


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        title: its path, as it was given.
        data: the words for the data that it was audited on.
        manifest: None of a bare record.
        streams: the scores of its last audit of streams, which are of `heard`, in words; empty without one.
    """

    title: str
    data: str
    result: AuditResult
    manifest: Manifest | None = None
    streams: tuple[StreamScore, ...] = ()
    heard: str = ""

    @property
    def day(self) -> date | None:
        """The day of its export; None of a bare record."""
        made = self.manifest and self.manifest.provenance.created
        return datetime.fromisoformat(made).date() if made else None

    def to_json(self) -> dict[str, str]:
        """Return its names for `json.dumps`."""
        return {"title": self.title, "bundle": self.result.bundle, "data": self.data}


def recorded_side(path: Path) -> Side:
    """Return a record's last audit, and its bundle's last of streams; ComparisonError if there is none."""
    last = complete_audits(path)[-1]
    heard = [r for r in read_runs(path) if (r.kind, r.bundle) == ("streams", last.bundle) and r.ended][-1:]
    return Side(
        str(path),
        data_title(last.dataset, last.split),
        recorded_audit(path, last),
        streams=tuple(score for r in heard for score in read_stream_scores(path, r.id)),
        heard="".join(data_title(r.dataset, r.split) for r in heard),
    )


def named(a: Side, b: Side, today: date) -> tuple[str, str]:
    """Name two releases by the days of their exports, as `that of 28 November` and `today's`.

    Exports of one day are named by their runs' folders, and those that have no other name A and B.
    """
    days, titles = (a.day, b.day), [bundle_title(Path(one.title)) for one in (a, b)]
    if a.day != b.day and all(days):
        form = "%-d %B" if all(day and day.year == today.year for day in days) else "%-d %B %Y"
        one, other = ("today's" if day == today else f"that of {day:{form}}" for day in days if day)
        return one, other
    return ("A", "B") if titles[0] == titles[1] else (titles[0], titles[1])


def cells(one: SetComparison) -> tuple[str, ...]:
    """Return the cells of a set, in the order of `COLUMNS`."""
    return (
        percent(one.before.accuracy),
        percent(one.after.accuracy),
        points(one.change),
        str(len(one.gained)),
        str(len(one.lost)),
        chance(one.adjusted),
    )


def points(change: Estimate) -> str:
    """Write a change in points with its interval: `-1.2 (-2.0 to -0.3)`; `0.0` of one model's answers."""
    if change.low == change.high == 0:
        return "0.0"
    value, low, high = (f"{100 * end:+.1f}" for end in (change.value, change.low, change.high))
    return f"{value} ({low} to {high})"


def chance(p: float) -> str:
    """Write a p value: `0.03`, or `<0.001`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def sets(found: Comparison) -> Table:
    """Return a row for each set of sensors."""
    drawn = table(("live",), COLUMNS, caption=CAPTION, whole=True)
    for name, one in found.sets.items():
        style = "yellow" if one.differs and one.change.value < 0 else "green" if one.differs else ""
        drawn.add_row(set_title(subsets.parse(name)), *cells(one), style=style)
    return drawn


def verdict(one: SetComparison, margin: float, names: Names) -> str:
    """Write the difference between two releases in the answers of a set."""
    a, b = names
    then, now = percent(one.before.accuracy), percent(one.after.accuracy)
    low, high = (f"{100 * abs(end):.1f}" for end in (one.change.low, one.change.high))
    few = f", {TOO_FEW} to say more" if one.change.too_few else ""
    if not one.gained and not one.lost:
        return f"the same {now} % are right in {b} as in {a}: no answer became right or wrong{few}"
    if one.differs:
        least, most = (low, high) if one.change.value > 0 else (high, low)
        better = "better" if one.change.value > 0 else "worse"
        return f"{b} is {better}: right in {now} % where {a} is in {then} %, {least} to {most} points"
    if one.equivalent:
        return f"{b} is as right as {a}: {now} and {then} %, less than {100 * margin:g} points apart"
    found = f"{b} is right in {now} %, {a} in {then} %, {points(one.change)} points{few}"
    if one.p < ALPHA:  # the interval excludes zero
        return f"a difference that chance may explain among so many comparisons: {found}"
    return f"no difference is shown: {found}"


def sureness(one: SetComparison, names: Names) -> str:
    """Write how often a set's answers are sure and wrong, and unsure, in two releases."""
    a, b = names
    return (
        f"Sure and wrong: {percent(one.before.sure_wrong)} % of the answers of {a}, "
        f"{percent(one.after.sure_wrong)} % of {b} ({points(one.wrong)} points). "
        f"Unsure: {percent(one.before.unsure)} %, {percent(one.after.unsure)} % ({points(one.unsure)})."
    )


def sentences(found: Comparison, names: Names) -> Iterator[str]:
    """Yield the verdict on the fullest set, on sets that changed, on sureness, and what was left out."""
    every = found.fullest
    one = found.sets[every]
    yield f"With {sensor_words(subsets.parse(every))}, {verdict(one, found.margin, names)}."
    for name, other in found.sets.items():
        if name != every and other.differs:
            yield f"With {sensor_words(subsets.parse(name))}, {verdict(other, found.margin, names)}."
    yield sureness(one, names)
    if found.groups < found.examples:
        groups = counted(found.groups, "group")
        yield f"The {found.examples} examples are of {groups}, which every number allows for."
    if any(found.only):
        before, after = (
            f"{n} examples that only {name} has" for n, name in zip(found.only, names, strict=True)
        )
        yield f"Left out: {before}, {after}."


@dataclass(frozen=True)
class ConditionChange:
    """The mean scores of the fullest set under a condition, over the severities that both audits have."""

    phrase: str  # `a noisy microphone`
    before: float
    after: float

    @property
    def change(self) -> float:
        """B's score less A's."""
        return self.after - self.before


def degraded(found: Comparison) -> list[ConditionChange]:
    """Return the conditions of both audits, the largest change first; first of all, without any."""
    by_name: dict[tuple[str, str], list[tuple[ConditionScore, ConditionScore]]] = {}
    for a, b in found.conditions:
        if a.subset == found.fullest:
            by_name.setdefault((a.modality, a.condition), []).append((a, b))
    rows = [
        (
            condition != CLEAN,
            ConditionChange("none" if condition == CLEAN else phrase_of(modality, condition), *means),
        )
        for (modality, condition), pairs in by_name.items()
        if (means := [fmean(one.score.accuracy for one in side) for side in zip(*pairs, strict=True)])
    ]
    return [row for _, row in sorted(rows, key=lambda pair: (pair[0], -abs(pair[1].change)))]


def costs(a: Manifest | None, b: Manifest | None) -> list[tuple[str, str, str]]:
    """Return the costs of both bundles: a title, A's amount and B's."""
    before, after = (_costs(one) if one else {} for one in (a, b))
    none = percent(None)
    return [(title, before.get(title, none), after.get(title, none)) for title in {**before, **after}]


def _costs(manifest: Manifest) -> dict[str, str]:
    first = {m: next(iter(entry.artifacts.values())) for m, entry in manifest.modalities.items()}
    amounts = {"Encoders on disk": f"{sum(one.bytes for one in first.values()) / 1e6:.1f} MB"}
    for m, one in first.items():
        if one.latency_ms is not None:
            amounts[f"A window of {sensor_words([m])}"] = f"{one.latency_ms:.1f} ms ({one.scheme})"
    peaks = [one.peak_mb for one in first.values() if one.peak_mb is not None]
    if peaks:
        amounts["Memory of an encoder's process"] = f"{max(peaks):.0f} MB at most"
    return amounts
