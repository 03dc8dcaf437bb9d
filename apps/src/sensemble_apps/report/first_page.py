"""The first page of the report: its headline, losses, degraded sensors, times, costs, untested things."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.reliability import Reliability
from sensemble_runtime.engine.belief import SCENE
from sensemble_runtime.scores import CLEAN, ConditionScore, Estimate, SubsetScore
from sensemble_runtime.subsets import Subset
from sensemble_sensors.spec import devices

from sensemble_apps.console import estimates, wording
from sensemble_apps.console.kinds import display_of, loss, words_of
from sensemble_apps.report.run_contents import RunContents, people_of
from sensemble_apps.tables import sparing_table
from sensemble_apps.tables.audit_table import cautions, mute
from sensemble_apps.tables.condition_table import grids, phrase_of
from sensemble_apps.tables.costs import largest_drop
from sensemble_apps.tables.run_folder import EVALUATED

Score = TypeVar("Score")
Pairs = list[tuple[str, str]]
_NAMED = 4  # sets with too few examples; more are counted
_WORST = 2  # conditions of a sensor on the first page


@dataclass(frozen=True)
class LostSensor:
    """The effect of one lost sensor or device.

    Attributes:
        event: the loss, as a clause: `the camera dies`.
        before: the score of all sensors.
        drop: the difference to the score without this one, on the same examples.
        every, rest: the answers with all sensors, and without this one; None where these were not audited.
    """

    event: str
    before: float
    drop: Estimate
    every: Reliability | None = None
    rest: Reliability | None = None

    @property
    def after(self) -> float:
        """The score without this sensor."""
        return self.before - self.drop.value

    def sentence(self, metric: str) -> str:
        """Write the effect as a clause: `accuracy falls from 90 % to 80 %, by 7 to 13 points`."""
        return estimates.change(metric, self.before, self.drop)


@dataclass(frozen=True)
class Headline:
    """The shipped model's scores, and the effect of losing each sensor.

    Attributes:
        method: the method's title.
        trained_on: its M_T.
        floats: the float model's scores, as far as they are known.
        audited: the bundle's scores.
        losses: the worst first.
        mute: that it never answers, if it does not.
        promise: what is promised of sure answers.
        cautions: sentences on the limits of these numbers.
    """

    method: str
    trained_on: Subset
    floats: Mapping[Subset, float]
    audited: Mapping[Subset, SubsetScore]
    losses: tuple[LostSensor, ...]
    mute: str
    promise: str
    cautions: tuple[str, ...]


def headline(contents: RunContents) -> Headline:
    """Return the scores and the losses of the shipped model."""
    provenance, audit = contents.manifest.provenance, contents.audit
    trained_on = subsets.name(provenance.train_modalities)
    audited = _by_set(audit.subsets)
    every, score = list(audited.items())[-1]
    carried = devices(contents.manifest.specs)
    answers = audit.reliability
    losses = []
    for lost, drop in audit.drops.items():
        rest = [m for m in every if m not in carried.get(lost, (lost,))]
        both = (answers.get(subsets.name(some)) for some in (every, rest))
        losses.append(LostSensor(loss(lost, every), score.accuracy, drop, *both))
    return Headline(
        method=wording.method_title(provenance.method),
        trained_on=subsets.parse(trained_on),
        floats=_by_set(contents.matrices.get(provenance.method, {}).get(trained_on, provenance.accuracy)),
        audited=audited,
        losses=tuple(sorted(losses, key=lambda one: -one.drop.value)),
        mute=mute(audit),
        promise=contents.manifest.calibration.promise,
        cautions=tuple(_cautions(audit)),
    )


def _cautions(audit: AuditResult) -> Iterator[str]:
    yield from cautions(audit)
    few = {name: score.n for name, score in audit.subsets.items() if score.too_few}
    if few:
        sets = "every set" if len(few) == len(audit.subsets) else _sets(few)
        counts = sorted(set(few.values()))
        n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        count = people_of(audit)
        of, people = (f", of {wording.people(count)}", " people") if count else ("", "")
        yield (
            f"{estimates.TOO_FEW.capitalize()} of {sets} ({n}{of}): an interval wider than 20 points does "
            f"not tell a good sensor from a bad one. Label more{people} before this is signed off."
        )


def _sets(names: Collection[str]) -> str:
    """Write sets for a sentence; many are counted."""
    if len(names) > _NAMED:
        return f"{len(names)} sets of sensors"
    return wording.words(wording.set_title(subsets.parse(name)) for name in names)


def _by_set(scores: Mapping[str, Score]) -> dict[Subset, Score]:
    parsed = {subsets.parse(name): score for name, score in scores.items()}
    return {subset: parsed[subset] for subset in sorted(parsed, key=lambda subset: (len(subset), subset))}


@dataclass(frozen=True)
class FirstPage:
    """The first page.

    Attributes:
        clean: the scores of all sensors undegraded; None where no condition was audited.
        moments: the worst conditions of each sensor, in words, and the scores of all at their worst severity.
        notice: failures, and the time until each changes the answer.
        sparing: sentences on sensors that sleep; none where that was not audited.
        untested: sentences.
    """

    clean: ConditionScore | None
    moments: list[tuple[str, ConditionScore]]
    notice: Pairs
    costs: Pairs
    sparing: tuple[str, ...]
    untested: list[str]


def first_page(contents: RunContents) -> FirstPage:
    """Gather the first page."""
    clean = [one for one in contents.audit.conditions if one.condition == CLEAN]
    return FirstPage(
        clean=max(clean, key=lambda one: len(one.subset.split("+")), default=None),
        moments=list(_moments(contents)),
        notice=list(_notice(contents)),
        costs=list(_costs(contents)),
        sparing=tuple(_sparing(contents)),
        untested=list(_untested(contents)),
    )


def _sparing(contents: RunContents) -> Iterator[str]:
    calibration = contents.manifest.calibration
    if contents.audit.sparing is not None:
        yield from sparing_table.sentences(contents.audit.sparing)
        if calibration.sparing is not None:
            bound = calibration.sparing_bound(calibration.sparing.groups)
            yield f"{bound[0].upper()}{bound[1:]}."


def _moments(contents: RunContents) -> Iterator[tuple[str, ConditionScore]]:
    for modality, grid in grids(contents.audit.conditions).items():
        rows = sorted((row.worst for row in grid[max(grid, key=len)][1:]), key=lambda one: one.score.accuracy)
        for one in rows[:_WORST]:
            yield phrase_of(modality, one.condition), one


def _notice(contents: RunContents) -> Iterator[tuple[str, str]]:
    displays = dict.fromkeys(display_of(entry.spec) for entry in contents.manifest.modalities.values())
    noticed = contents.session.get("noticed_s") if contents.session else None
    if noticed:
        yield "Unplugged", f"{max(noticed):.1f} s at most (measured {len(noticed)} times)"
    else:
        yield "Unplugged", "not measured"
    for display in displays:
        for fault, seconds in display.faults:
            yield fault, f"{seconds:g} s"
    if contents.manifest.calibration.familiar:
        yield "Unlike training", f"at the next window; reported after {SCENE:g} s"
    if len(contents.manifest.modalities) > 2:
        yield "Shows another scene", f"one scene or more, {SCENE:g} s each"


def _costs(contents: RunContents) -> Iterator[tuple[str, str]]:
    manifest, session = contents.manifest, contents.session
    artifacts = {m: next(iter(entry.artifacts.values())) for m, entry in manifest.modalities.items()}
    yield "Encoders on disk", f"{sum(a.bytes for a in artifacts.values()) / 1e6:.1f} MB"
    target = next(iter(next(iter(manifest.modalities.values())).artifacts))
    drop = largest_drop(manifest.provenance, target)
    if drop is not None:
        yield "Lost by quantization", f"{drop[0]:.1f} points at most"
    windows = session["window_ms"] if session else {m: a.latency_ms for m, a in artifacts.items()}
    for modality, ms in windows.items():
        if ms is not None:
            shown = f"{ms:.1f}" if ms >= 1 else f"{ms:.1g}"
            yield f"To encode a window of {words_of(modality).sensor}", f"{shown} ms"
    if session:
        half, most = (session["age_ms"][key] for key in ("p50", "p99"))
        yield "From capture to answer", f"{half:.0f} ms; 99 % within {most:.0f} ms"
        yield "Memory of the process", f"{session['memory_mb']} MB at most"
        yield "Processor time a minute", f"{session['cpu_seconds_a_minute']:.1f} s of one core"
    else:
        yield "Memory, processor time", "not measured"


def _untested(contents: RunContents) -> Iterator[str]:
    audit, modalities = contents.audit, contents.manifest.modalities
    yield f"Other people, rooms and devices than those of {contents.title}, split {EVALUATED}."
    if not people_of(audit):
        yield "Whose examples these are: they have no group, so new people may get worse answers."
    degraded = {one.modality for one in audit.conditions}
    sound = [words_of(m).sensor for m in modalities if m not in degraded]
    if sound:
        yield f"Degraded sensors: {wording.words(sound)}."
    if not any("+" in modality for modality in degraded):
        yield "Two sensors degraded at once."
    timed = "the times are from a replay on one machine" if contents.session else "no session was timed"
    yield f"The devices themselves: {timed}."
    unproved = sorted(
        {t for entry in modalities.values() for t, a in entry.artifacts.items() if not a.parity}
    )
    if unproved:
        yield f"Executors that no machine has run: {', '.join(unproved)}."
    few = [name for name, score in audit.subsets.items() if score.too_few]
    if few:
        yield f"{estimates.TOO_FEW.capitalize()} of {_sets(few)}."
    if not contents.verdicts:
        yield "Limits of your own: none was required. Judge them by sensemble report RUN --require CRITERIA."
