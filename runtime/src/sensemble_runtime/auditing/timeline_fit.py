"""The fit of the timeline to streams: how long classes last, how far each sensor counts in a set, thresholds.

At the threshold of each set of sensors, and at all higher ones, false moments stay within what is asked for
with a probability of 95 % (the exact bound of a Poisson count); where there are too few hours for that, there
is no false one. States are not bounded: they follow each other all day, and one that is cut in two is false,
so that such a bound leaves none. Of these thresholds, it is the one that finds most moments, or divides
states best; of those that do alike, the middle one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from sensemble_sensors.media.spans import Span

from sensemble_runtime import subsets
from sensemble_runtime.auditing.stream_audit import (
    Answered,
    Counts,
    count,
    odds,
    segments,
    states,
    thresholds,
    told,
)
from sensemble_runtime.bundle.manifest import SetThreshold, TimelineCalibration, poisson_bound
from sensemble_runtime.engine import timeline
from sensemble_runtime.subsets import Subset

ASKED = 1.0
"""False events an hour, unless others are asked for."""
EVIDENCE = (3.2, 1.6, 0.8, 0.4)
"""Windows that a second of windows may count for; of those that do alike, the first is the fastest."""
WEIGHTS = (1.0, 0.7, 0.5, 0.25, 0.1)
"""Weights that the evidence of a sensor may have in a set."""
_LED = 0.25  # the weight of the others where one sensor leads, to begin with
_BETTER = 0.05  # of the score, by which other weights are better: few streams tell no less
_WINDOW = 1.0  # seconds that a class lasts where no span says it
_SPANS = 5  # spans of a class that say how long it lasts
_SHORTEST = 0.1  # seconds
_POINTS = 60  # thresholds that are tried
_STATES = np.arange(-4, 8.5, 0.5).tolist()  # and of states: by quantiles of windows, these are too coarse


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
    options = [TimelineCalibration(evidence, usual, dwell, asked, {}) for evidence in EVIDENCE]
    worth = [sum(_threshold(own, {}, one, labels, lasting)[0] for own in answers.values()) for one in options]
    fitted = options[int(np.argmax(worth))]
    sets = {subsets.name(one): _fitted(one, own, fitted, labels, lasting) for one, own in answers.items()}
    return replace(fitted, sets=sets)


def _fitted(
    subset: Subset,
    streams: Sequence[Answered],
    calibration: TimelineCalibration,
    labels: Sequence[str],
    lasting: Collection[str],
) -> SetThreshold:
    """Return the weights of a set's sensors and its threshold: one weight after the other, while it pays."""

    def tried(weights: Mapping[str, float]) -> tuple[float, SetThreshold]:
        return _threshold(streams, weights, calibration, labels, lasting)

    best = tried(dict.fromkeys(subset, 1.0))
    leaders = subset if len(subset) > 1 else ()
    for start in ({m: 1.0 if m == leader else _LED for m in subset} for leader in leaders):
        best = _better(best, tried(start))
    before = None
    while before is not best:
        before = best
        for m, weight in product(subset, WEIGHTS):
            weights = best[1].weights or {}
            if weights[m] != weight:
                best = _better(best, tried(weights | {m: weight}))
    return best[1]


def _better(one: tuple[float, SetThreshold], other: tuple[float, SetThreshold]) -> tuple[float, SetThreshold]:
    return other if other[0] >= one[0] + _BETTER else one


def _threshold(
    streams: Sequence[Answered],
    weights: Mapping[str, float],
    calibration: TimelineCalibration,
    labels: Sequence[str],
    lasting: Collection[str],
) -> tuple[float, SetThreshold]:
    """Return the score of a set, the share found or the F1 of states, and its threshold."""
    log_odds = [odds(one, calibration, labels, weights) for one in streams]
    hours = sum(one.hours for one in streams)
    allowed = max(calibration.asked * hours, poisson_bound(0)) * (1 + 1e-9)
    linger = timeline.states(calibration, labels)
    kept = list[tuple[float, float, Counts]]()
    tried = {*thresholds(log_odds, _POINTS), *(_STATES if lasting else ())}
    for threshold in sorted(tried, reverse=True):  # more is found, and more is false
        said = [
            (one, told(one.times, own, threshold, labels, linger))
            for one, own in zip(streams, log_odds, strict=True)
        ]
        counts = count(said, lasting)
        short = [(one, [each for each in own if each.label not in lasting]) for one, own in said]
        if kept and poisson_bound(count(short).false) > allowed:
            break
        worth = segments(said) if lasting else counts.found / max(counts.spans, 1)
        kept.append((worth, threshold, counts))
    best = max(worth for worth, _, _ in kept)
    alike = [one for one in kept if one[0] == best]
    worth, threshold, counts = alike[len(alike) // 2]
    share = counts.found / counts.spans if counts.spans else None
    return worth, SetThreshold(threshold, hours, counts.false, share, dict(weights))
