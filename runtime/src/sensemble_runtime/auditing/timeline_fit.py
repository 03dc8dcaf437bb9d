"""The fit of the timeline to streams: how long classes last, how far each sensor counts in a set, thresholds.

At the threshold of each set of sensors, and at all higher ones, false moments stay within what is asked for
with a probability of 95 % (the exact bound of a Poisson count); where there are too few hours for that, there
is no false one. Few hours say little of what is rare: so the log-odds of the highest false events, taken as
the tail of an exponential distribution, must promise what is asked for, too, and no threshold is lower than
so few hours allow (`_SAFE`). States are not bounded: they follow each other all day, and one that is cut in
two is false, so that such a bound leaves none. Of these thresholds, it is the one that finds most moments, or
divides states best; of those that do alike, the middle one.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from sensemble_sensors.media.spans import Span

from sensemble_runtime import subsets
from sensemble_runtime.auditing.stream_audit import (
    Answered,
    Counts,
    Floats,
    count,
    filtered,
    odds,
    segments,
    states,
    told,
)
from sensemble_runtime.bundle.manifest import SetThreshold, TimelineCalibration, poisson_bound
from sensemble_runtime.engine import timeline
from sensemble_runtime.subsets import Subset

ASKED = 1.0
"""False events an hour, unless others are asked for."""
EVIDENCE = (3.2, 1.6, 0.8, 0.4)
"""Windows that a second of windows may count for; of those that do alike, the first is the fastest."""
WEIGHTS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.1, 0.0)
"""Weights that the evidence of a sensor may have in a set."""
_BETTER = 0.01  # of the score, by which other weights are better
_WINDOW = 1.0  # seconds that a class lasts where no span says it
_SPANS = 5  # spans of a class that say how long it lasts
_SHORTEST = 0.1  # seconds
_LOWEST, _STEP = -5.0, 0.1  # of the thresholds that are tried; of states, a fifth of them tells as much

_MOSTLY = 0.5  # of the time
_TAIL = 3  # false events whose log-odds say how rare higher ones are
_SAFE, _FEW = -1.0, 1 / 15  # the lowest threshold by so few hours; one lower for each e times as many

Says = Sequence[tuple[Answered, Mapping[str, Floats]]]


def fit_timeline(
    answers: Mapping[Subset, Sequence[Answered]],
    spans: Iterable[Span],
    labels: Sequence[str],
    asked: float = ASKED,
) -> TimelineCalibration | None:
    """Fit the timeline to the answers of sets of sensors to streams; None without an answer.

    `spans` are those of all streams that may tell how long a class lasts, `asked` the false events an hour.
    """
    answers = {one: own for one, own in answers.items() if sum(len(each.times) for each in own)}
    if not answers:
        return None
    lengths = dict[str, list[float]]()
    for span in spans:
        lengths.setdefault(span.label, []).append(max(span.end - span.begin, _SHORTEST))
    every = [length for own in lengths.values() for length in own]
    usual = float(np.median(every)) if every else _WINDOW
    dwell = {label: float(np.median(own)) for label, own in lengths.items() if len(own) >= _SPANS}

    lasting = states(span for own in answers.values() for one in own for span in one.spans)
    options = list[tuple[float, TimelineCalibration, dict[Subset, Says]]]()
    for evidence in EVIDENCE:
        option = TimelineCalibration(evidence, usual, dwell, asked, {})
        heard: dict[Subset, Says] = {
            subset: [(one, filtered(one, option, labels)) for one in own] for subset, own in answers.items()
        }
        worth = sum(_threshold(own, {}, option, labels, lasting)[0] for own in heard.values())
        options.append((worth, option, heard))
    _, fitted, heard = max(options, key=lambda one: one[0])
    sets = dict[str, SetThreshold]()
    for subset in sorted(heard, key=len):
        sets[subsets.name(subset)] = _fitted(subset, heard[subset], fitted, labels, lasting, sets)
    return replace(fitted, sets=sets)


def _fitted(
    subset: Subset,
    streams: Says,
    calibration: TimelineCalibration,
    labels: Sequence[str],
    lasting: Collection[str],
    smaller: Mapping[str, SetThreshold],
) -> SetThreshold:
    """Return the weights of a set's sensors and its threshold: one weight after the other, while it pays.

    It begins with the best of the sets without one of its sensors, so that this one finds no less. While
    sensors are silent, as captions are mostly, the others speak alone: they keep their weights, and a
    threshold that is no lower.
    """
    every = dict.fromkeys(subset, 1.0)
    if len(subset) == 1:
        return _threshold(streams, every, calibration, labels, lasting)[1]
    silent = [m for m in subset if np.mean([one.witnesses[m].live.mean() for one, _ in streams]) < _MOSTLY]
    others = smaller.get(subsets.name(tuple(m for m in subset if m not in silent)))
    lowest, free = (_LOWEST, list(subset)) if others is None else (others.threshold, silent)

    def tried(weights: Mapping[str, float]) -> tuple[float, SetThreshold]:
        return _threshold(streams, weights, calibration, labels, lasting, lowest)

    starts = [every if others is None else every | (others.weights or {})]
    for left_out in free:
        rest = others or smaller.get(subsets.name(tuple(m for m in subset if m != left_out)))
        if rest is not None and rest.weights is not None:
            starts.append(dict.fromkeys(subset, 0.0) | rest.weights)
    best, before = max(map(tried, starts), key=lambda one: one[0]), None
    while before is not best:
        before = best
        for m, weight in product(free, WEIGHTS):
            weights = {**(best[1].weights or {}), m: weight}
            if weights != best[1].weights and max(weights.values()) == 1:  # the threshold has its own scale
                other = tried(weights)
                best = other if other[0] >= best[0] + _BETTER else best
    return best[1]


def _threshold(
    streams: Says,
    weights: Mapping[str, float],
    calibration: TimelineCalibration,
    labels: Sequence[str],
    lasting: Collection[str],
    lowest: float = _LOWEST,
) -> tuple[float, SetThreshold]:
    """Return the score of a set, its share found or F1 of states, and its threshold, `lowest` at least."""
    log_odds = [odds(one, says, calibration, labels, weights) for one, says in streams]
    hours = sum(one.hours for one, _ in streams)
    allowed = max(calibration.asked * hours, poisson_bound(0)) * (1 + 1e-9)
    linger = timeline.states(calibration, labels)
    kept, tail, is_over = list[tuple[float, float, Counts]](), 0.0, False
    top = max((float(one.max(initial=_LOWEST)) for one in log_odds), default=_LOWEST)
    step = 5 * _STEP if lasting else _STEP
    for threshold in np.arange(_LOWEST, top + step, step)[::-1].tolist():  # more is found, and more is false
        pairs = [
            (one, told(one.times, own, threshold, labels, linger))
            for (one, _), own in zip(streams, log_odds, strict=True)
        ]
        counts = count(pairs, lasting)
        false = count(
            [(one, [each for each in own if each.label not in lasting]) for one, own in pairs]
        ).false
        tail += false * step
        is_over = is_over or (bool(kept) and poisson_bound(false) > allowed)
        if not is_over:
            worth = segments(pairs) if lasting else counts.found / max(counts.spans, 1)
            kept.append((worth, threshold, counts))
        elif false >= _TAIL:
            break
    if not lasting:
        rare = tail / false * math.log(max(false / (calibration.asked * hours), 1)) if false else 0.0
        safe = max(threshold + rare, _SAFE - math.log(hours / _FEW), lowest)
        kept = [one for one in kept if one[1] >= safe - 1e-9] or [
            (0.0, min(safe, 30.0), Counts(counts.spans, 0, 0, 0, hours, ()))
        ]
    best = max(worth for worth, _, _ in kept)
    alike = [one for one in kept if one[0] == best]
    worth, threshold, counts = alike[len(alike) // 2]
    share = counts.found / counts.spans if counts.spans else None
    return worth, SetThreshold(threshold, hours, counts.false, share, dict(weights))
