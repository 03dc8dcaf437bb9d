"""The audit of sparing: the policy runs over labelled examples in virtual time, and its answers are scored.

Where the examples were cut from recordings, they follow each other as they did there. Others are scenes of
`SCENE` seconds each, those of a group one after the other, and the last answer to one counts. A sensor that
is woken answers once its device has opened (`Kind.opening`) and its first window is complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.clock import ROUNDING
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec

from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import EvidenceByModality, SimulatedSessions
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import SparingCalibration
from sensemble_runtime.engine.answer import UNFAMILIAR, Answers
from sensemble_runtime.engine.sparing import NOT_FITTED, Sparing, prefixes
from sensemble_runtime.scores import SparingScore, SpentPoint

Floats = NDArray[np.floating]
Truths = NDArray[np.bool_]

SCENE = 4.0  # seconds of an example that is no part of a recording
WAKES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995, 2.0)
"""The confidences below which the next sensor is woken, of a curve; above 1, always."""
_PAUSE = 1.0  # seconds between recordings
_HALVINGS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """N examples in virtual time, one session: T moments at which windows of one are complete.

    Attributes:
        times: float64 [T], rising.
        rows: int [T], the example.
        counts: bool [T], whether the answer is the one to the example.
        recordings: whether the examples follow each other in recordings.
    """

    times: Floats
    rows: NDArray[np.intp]
    counts: Truths
    recordings: bool


def schedule(examples: Sequence[Example], specs: Mapping[str, InputSpec]) -> Schedule:
    """Put examples into virtual time."""
    window = max((spec.window for spec in specs.values()), default=0.0) or 1.0
    hop = max((spec.hop for spec in specs.values()), default=0.0) or 1.0
    files = dict[tuple[str, ...], dict[object, list[int]]]()  # by groups, as they first appear
    for row, example in enumerate(examples):
        file = example.id if example.start is None else next(iter(example.values.values()))
        files.setdefault(example.groups, {}).setdefault(file, []).append(row)
    every = [rows for own in files.values() for rows in own.values()]
    recordings = len(examples) >= 2 * len(every)
    steps = np.arange(0.0, max(SCENE - window, hop), hop).tolist()
    moments, now = list[tuple[float, int, bool]](), 0.0
    for rows in every:
        if recordings:
            starts = sorted((examples[row].start or 0.0, row) for row in rows)
            moments += [(now + window + start - starts[0][0], row, True) for start, row in starts]
            now = moments[-1][0] + _PAUSE
        for row in () if recordings else rows:
            moments += [(now + window + step, row, step == steps[-1]) for step in steps]
            now += max(SCENE, window)
    times, shown, counts = zip(*moments, strict=True)
    return Schedule(np.array(times), np.array(shown), np.array(counts), recordings)


@dataclass(frozen=True, slots=True, eq=False)
class PrefixAnswers:
    """The answers to N examples with the sensors of the first place on, of the first two, of all P."""

    confidences: Floats  # [P, N]; 0 without a familiar window
    right: Truths  # [P, N]

    @classmethod
    def of(cls, answers: Sequence[Answers], truth: NDArray[np.integer]) -> "PrefixAnswers":
        """Compare answers with the truth, [N]."""
        evident = np.stack([one.evident for one in answers])
        familiar = np.stack([one.doubts != UNFAMILIAR for one in answers])
        tops = np.stack([one.probabilities.argmax(axis=1) for one in answers])
        confidences = np.stack([one.probabilities.max(axis=1) for one in answers])
        return cls(np.where(familiar, confidences, 0.0), (tops == truth) & evident)


@dataclass(frozen=True, slots=True, eq=False)
class Spared:
    """Results of a policy on N examples.

    Attributes:
        level: int [N], the places that answered each, less 1; -1 for an example without a moment.
        on: float [P], the share of the time.
        wakings: of each place.
        hours: of virtual time.
        delay: mean seconds from a waking to the first answer with the sensor; None without one.
    """

    level: NDArray[np.intp]
    on: Floats
    wakings: tuple[int, ...]
    hours: float
    delay: float | None


def run(
    calibration: SparingCalibration, confidences: Floats, plan: Schedule, specs: Mapping[str, InputSpec]
) -> Spared:
    """Run the policy over answers, [P, N], in virtual time."""
    places = len(calibration.order)
    delays = [max(kind_of(specs[m]).opening + specs[m].window for m in one) for one in calibration.order]
    level, on, woken = np.full(confidences.shape[1], -1), np.zeros(places), [-np.inf] * places
    wakings, waits, waiting = [0] * places, list[float](), dict[int, float]()
    each, lives = confidences.T.tolist(), [[n <= top for n in range(places)] for top in range(places)]
    policy, before, spent = Sparing(calibration, 0.0), 0.0, np.zeros(places + 1)
    moments = zip(plan.times.tolist(), plan.rows.tolist(), plan.counts.tolist(), strict=True)
    for time, row, counts in moments:
        spent[policy.needed] += time - before
        before = time
        top = 0
        while top + 1 < policy.needed and time - woken[top + 1] >= delays[top + 1] - ROUNDING:
            top += 1
        for place in [place for place in waiting if place <= top]:
            waits.append(time - waiting.pop(place))
        if counts:
            level[row] = top
        for one in policy.note(time, each[row], lives[top]):
            woken[one.place] = waiting[one.place] = time
            wakings[one.place] += 1
    seconds = max(float(spent.sum()), 1e-9)
    on = np.array([spent[place + 1 :].sum() for place in range(places)]) / seconds
    return Spared(level, on, tuple(wakings), seconds / 3600, float(np.mean(waits)) if waits else None)


def point(
    spared: Spared, answers: PrefixAnswers, costs: Sequence[float], threshold: float, wake: float
) -> SpentPoint:
    """Score what a policy did; `costs` are those of the places."""
    rows = np.flatnonzero(spared.level >= 0)
    right = answers.right[spared.level[rows], rows]
    sure = answers.confidences[spared.level[rows], rows] >= threshold
    return SpentPoint(
        wake,
        float(np.dot(spared.on, costs) / sum(costs)),
        tuple(spared.on.tolist()),
        float(right.mean()),
        float(sure.mean()),
        float((sure & ~right).mean()),
        tuple(n / spared.hours for n in spared.wakings),
        spared.delay,
    )


def audit_sparing(
    bundle: Bundle,
    examples: Sequence[Example],
    evidence: EvidenceByModality,
    present: Mapping[str, Truths],
    truth: NDArray[np.integer],
) -> SparingScore:
    """Run a bundle's policy over the evidence of N examples, and its rivals; BadDataError if it has none."""
    classifier, specs = bundle.classifier, bundle.specs
    calibration = bundle.manifest.calibration.sparing
    if calibration is None:
        raise BadDataError(f"{bundle.path}: no sensor may sleep; {NOT_FITTED}")
    order, costs = calibration.order, calibration.costs
    chain = prefixes(order)
    unions = {
        places: tuple(sorted(m for place in places for m in order[place]))
        for size in range(1, len(order) + 1)
        for places in combinations(range(len(order)), size)
    }
    given = SimulatedSessions([*unions.values()], classifier).answers(evidence, present)
    answers = PrefixAnswers.of([given[one] for one in chain], truth)
    plan = schedule(examples, specs)

    def at(wake: float, confidences: Floats = answers.confidences) -> SpentPoint:
        one = replace(calibration, wake=wake)
        spared = run(one, confidences, plan, specs)
        return point(spared, answers, costs, calibration.threshold, wake)

    def fixed(places: tuple[int, ...]) -> SpentPoint:
        one = PrefixAnswers.of([given[unions[places]]], truth)
        on = tuple(float(place in places) for place in range(len(order)))
        cost = sum(costs[place] for place in places) / sum(costs)
        sure = one.confidences[0] >= classifier.threshold
        right = one.right[0]
        shares = float(right.mean()), float(sure.mean()), float((sure & ~right).mean())
        return SpentPoint(0.0, cost, on, *shares, (0.0,) * len(order), None)

    chosen = at(calibration.wake)
    still = {subsets.name(subset): fixed(places) for places, subset in unions.items()}
    cheap = {name: one for name, one in still.items() if one.spent <= chosen.spent}
    best = max(cheap, key=lambda name: cheap[name].right, default="")
    chance = np.random.default_rng(0).uniform(1e-6, 1, answers.confidences.shape)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle, chance).spent < chosen.spent else (low, middle)
    return SparingScore(
        order,
        costs,
        chosen,
        still[subsets.name(chain[-1])],
        best,
        cheap.get(best),
        at(high, chance),
        tuple(at(wake) for wake in WAKES),
        run(calibration, answers.confidences, plan, specs).hours,
        plan.recordings,
    )
