"""The fit of sparing: the order of the sensors by cost, and the cheapest policy that keeps the promise.

The policy runs over `calibrate` in virtual time. Of those that are at most `LOSS` less often right than with
all sensors on, and at most `QUIET` less often sure, it is the cheapest. The threshold of its answers keeps
the risk of a new person as that of all sensors does (`calibration.least_threshold`), and at most as many of
its answers are sure and wrong as with all sensors on. Those are few, and often none in a small split, so
what the confidences expect counts, too (`MORE`). If none saves `LEAST`, none is fitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.spec import InputSpec, together

from sensemble_runtime.auditing.answers import EvidenceByModality
from sensemble_runtime.auditing.calibration import CONFIDENT, RISK, least_threshold
from sensemble_runtime.auditing.sparing_audit import (
    WAKES,
    PrefixAnswers,
    Schedule,
    point,
    run,
)
from sensemble_runtime.bundle.manifest import Calibration, SparingCalibration, groups_needed
from sensemble_runtime.engine.answer import answer
from sensemble_runtime.engine.sparing import prefixes

Floats = NDArray[np.floating]
Truths = NDArray[np.bool_]

LOSS = 0.005
"""The share of right answers that sparing may cost, unless another is asked for."""
LEAST = 0.02  # of what all sensors cost, that sparing must save
QUIET = 0.03  # the share of sure answers that it may cost
MORE = 0.001
"""The share of answers that may be sure and wrong beyond that of all sensors on, by their confidences.

Without it, 24 fits on halves of 1,782 digits made 0.08 points more sure and wrong on the other halves.
"""
HOLDS = (1.0, 4.0, 8.0)  # seconds


@dataclass(frozen=True, slots=True)
class Wishes:
    """A user's wishes for sparing.

    Attributes:
        loss: the share of right answers that it may cost.
        costs: by modality or device, what it costs while it is on; others cost what their kind does.
        measured: in place of `costs`, those of `processor_costs` where the encoders ran.
        last: the modality or device that is woken last.
    """

    loss: float = LOSS
    costs: Mapping[str, float] = field(default_factory=dict)
    measured: bool = False
    last: str = ""


def processor_costs(specs: Mapping[str, InputSpec], milliseconds: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of a processor that each encoder takes a minute while its sensor is on.

    `milliseconds` are those of a window. A caption comes when one is written, and costs nothing.
    """
    return {m: 0.06 * took / specs[m].hop if specs[m].hop else 0.0 for m, took in milliseconds.items()}


def fit_sparing(
    evidence: EvidenceByModality,
    present: Mapping[str, Truths],
    truth: NDArray[np.integer],
    people: NDArray[np.integer],
    calibration: Calibration,
    specs: Mapping[str, InputSpec],
    plan: Schedule,
    wishes: Wishes,
) -> SparingCalibration | None:
    """Fit sparing to the evidence of N examples; None where no sensor may sleep.

    Args:
        evidence, present, truth, people: as for `fit_threshold`, of one class each.
        plan: the examples in virtual time.
    """
    rule = calibration.redundancy, "multi-class", calibration.threshold
    named = people >= 0
    count = len(np.unique(people[named]))
    best: tuple[float, float, SparingCalibration] | None = None
    for order, costs in _orders(evidence, present, truth, specs, wishes) if len(plan.times) else ():
        answers = PrefixAnswers.of(
            [answer(evidence, present, one, rule[0], "multi-class", rule[2]) for one in prefixes(order)],
            truth,
        )
        every = answers.right[-1], answers.confidences[-1] >= calibration.threshold
        every_right, every_sure = float(every[0].mean()), float(every[1].mean())
        every_wrong = float((every[1] & ~every[0]).mean())
        expected = _expected(answers.confidences[-1], calibration.threshold)
        first = answers.confidences[0] >= calibration.threshold
        wrong_first = int((first & ~answers.right[0]).sum())
        # The first sensors' answers may be more or less often wrong than they are unsure.
        ratio = (wrong_first + 1) / (float((1 - answers.confidences[0][first]).sum()) + 1)
        for hold, wake in product(HOLDS, WAKES):
            start = SparingCalibration(
                order, costs, wake, hold, 1.0, count, 0.0, plan.recordings, (),
                0.0, 0.0, 0.0, every_right, every_sure, every_wrong,
            )  # fmt: skip
            spared = run(start, answers.confidences, plan, specs)
            rows = np.flatnonzero(spared.level >= 0)
            confidences = answers.confidences[spared.level[rows], rows]
            wrong = ~answers.right[spared.level[rows], rows] & (confidences > 0)
            kept = CONFIDENT
            if count >= groups_needed(RISK):
                own = named[rows]
                kept = least_threshold(
                    confidences[own][np.newaxis], wrong[own][np.newaxis], np.ones(1), people[rows][own], RISK
                )
            threshold = max(calibration.threshold, kept, _no_more(confidences, wrong, every_wrong))
            found = point(spared, answers, costs, threshold, wake)
            if found.right < every_right - wishes.loss or found.sure < every_sure - QUIET:
                continue
            if ratio * (_expected(confidences, threshold) - expected) > MORE:
                continue
            fitted = SparingCalibration(
                order, costs, wake, hold, threshold, count, spared.hours, plan.recordings, found.on,
                found.right, found.sure, found.sure_wrong, every_right, every_sure, every_wrong,
            )  # fmt: skip
            if best is None or (found.spent, -found.sure) < best[:2]:
                best = found.spent, -found.sure, fitted
    return best[2] if best and best[0] < 1 - LEAST else None


def _expected(confidences: Floats, threshold: float) -> float:
    """Return the share of N answers that are sure and wrong, if each is as often right as it is confident."""
    return float(((1 - confidences) * (confidences >= threshold)).mean())


def _no_more(confidences: Floats, wrong: Truths, share: float) -> float:
    """Return the least threshold at which at most a share of N answers is sure and wrong."""
    allowed = int(share * len(confidences) + 1e-9)
    over = np.sort(confidences[wrong])[::-1][allowed:]
    return float(np.nextafter(np.float32(over[0]), np.float32(2))) if len(over) else 0.0


def _orders(
    evidence: EvidenceByModality,
    present: Mapping[str, Truths],
    truth: NDArray[np.integer],
    specs: Mapping[str, InputSpec],
    wishes: Wishes,
) -> list[tuple[tuple[tuple[str, ...], ...], tuple[float, ...]]]:
    """Return orders of two places or more, and their costs.

    What costs nothing is always on, unless it is the last, with the cheapest of the others: of those that
    cost the same, each in turn. After it, of those that cost the same, the one that is right most often by
    itself comes first.
    """
    places = together(specs)
    costs = {}
    for place in places:
        device = next((specs[m].device for m in place if len(place) > 1), "") or ""
        each = sum(wishes.costs.get(m, kind_of(specs[m]).cost) for m in place)
        costs[place] = wishes.costs.get(device, each)

    def rank(place: tuple[str, ...]) -> tuple[bool, float]:
        names = {*place, *(specs[m].device or "" for m in place if len(place) > 1)}
        return wishes.last in names, costs[place]

    def error(place: tuple[str, ...]) -> float:
        found = np.sum([evidence[m].opinions("multi-class") for m in place], axis=0).argmax(axis=1) == truth
        there = np.all([present[m] for m in place], axis=0)
        return -float((found & there).mean())

    free = [place for place in places if rank(place) == (False, 0)]
    others = [place for place in places if place not in free]
    ranked = sorted(others, key=lambda one: (*rank(one), error(one)))
    orders = []
    for first in [place for place in ranked if rank(place) == rank(ranked[0])]:
        base, rest = [*free, first], [place for place in ranked if place != first]
        order = tuple(sorted(m for place in base for m in place)), *rest
        orders.append((order, (costs[first], *(costs[place] for place in rest))))
    return orders if len(ranked) > 1 else []
