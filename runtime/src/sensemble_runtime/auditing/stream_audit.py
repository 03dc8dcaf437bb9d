"""The audit of streams: what each set of sensors finds, how often it tells what is not there, how late."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.media.spans import Span
from sensemble_sensors.media.streams import Stream, seconds
from sensemble_sensors.spec import InputSpec, Modality

from sensemble_runtime import subsets
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.auditing.moment_measures import (
    Told,
    edit_score,
    match,
    mistaken,
    poisson_interval,
    segments_f1,
)
from sensemble_runtime.auditing.stream_windows import StreamWindows, encode_stream, evidence_at, moments
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.manifest import TimelineCalibration
from sensemble_runtime.engine import timeline
from sensemble_runtime.engine.answer import against_none, honest
from sensemble_runtime.engine.belief import RARE, Belief
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.engine.timeline import LINGER, STATE, Episodes, Filter
from sensemble_runtime.progress import Progress, no_progress
from sensemble_runtime.scores import CurvePoint, StreamScore
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.floating]
POINTS = 25
"""Points of a curve at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Witness:
    """The evidence of one sensor at T moments of a stream.

    Attributes:
        ratios: `answer.against_none` of its newest window, [T, C].
        fresh: whether this window is new, bool [T].
        live: whether its evidence counts, bool [T].
        honest: the probability that it does not lie, [T].
    """

    ratios: Floats
    fresh: NDArray[np.bool_]
    live: NDArray[np.bool_]
    honest: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The answers of a set of sensors to a stream.

    Attributes:
        times: float64 [T].
        witnesses: what each sensor says at each of them.
        spans, hours: of the stream.
    """

    times: Floats
    witnesses: Mapping[str, Witness]
    spans: tuple[Span, ...]
    hours: float


def answered(
    classifier: Classifier,
    specs: Mapping[str, InputSpec],
    windows: Mapping[str, StreamWindows],
    subset: Subset,
    spans: tuple[Span, ...],
    hours: float,
) -> Answered:
    """Return what a session with these sensors alone answers, window by window."""
    at = moments(windows, subset, specs, Policy())
    evidence, present = evidence_at(classifier, windows, at)
    belief = Belief(subset, classifier.devices)
    lies = {name: np.full(len(at.times), RARE) for name in belief.lies}
    if len(subset) > 1 and classifier.task == "multi-class":
        opinions = {m: evidence[m].opinions(classifier.task) for m in subset}
        usable = {m: evidence[m].usable(present[m]) for m in subset}
        for i, time in enumerate(at.times.tolist()):
            for name, chance in belief.lies.items():
                lies[name][i] = chance
            live = {m: opinions[m][i] for m in subset if usable[m][i]}
            if live:
                belief.learn(live, time)
    found = dict[str, Witness]()
    for m in subset:
        newest = np.maximum.accumulate(np.append(-1, at.rows[m]))
        truth = honest(lies, m, evidence[m].device) if len(subset) > 1 else np.ones(len(at.times))
        fresh = at.rows[m] > newest[:-1]
        found[m] = Witness(against_none(evidence[m]), fresh, present[m], np.asarray(truth))
    return Answered(at.times, found, spans, hours)


def filtered(answers: Answered, calibration: TimelineCalibration, labels: Sequence[str]) -> dict[str, Floats]:
    """Return what each sensor has said so far (`Filter.says`), [T, C]; 0 where it does not count."""
    found = dict[str, Floats]()
    for m, one in answers.witnesses.items():
        own, fresh = Filter(calibration, labels), one.live & one.fresh
        times, none, each = [-np.inf], [own.none], [own.each]
        for time, ratios in zip(answers.times[fresh].tolist(), one.ratios[fresh], strict=True):
            own.note(time, ratios)
            times.append(time)
            none.append(own.none)
            each.append(own.each)
        last = np.cumsum(fresh)[one.live]
        elapsed = answers.times[one.live] - np.array(times)[last]
        found[m] = np.zeros((len(answers.times), len(labels)))
        found[m][one.live] = own.says(elapsed[:, None], np.array(none)[last], np.array(each)[last])
    return found


def odds(
    answers: Answered,
    says: Mapping[str, Floats],
    calibration: TimelineCalibration,
    labels: Sequence[str],
    weights: Mapping[str, float],
) -> Floats:
    """Return the timeline's log-odds [T, C] of each class, by what is `filtered` and weights of sensors."""
    truths = {m: one.honest for m, one in answers.witnesses.items()}
    rest = timeline.at_rest(calibration, labels)
    if not timeline.states(calibration, labels):
        return timeline.going_on(timeline.product(says, truths, weights), rest)
    ratios = {m: np.where(one.live[:, None], one.ratios, 0) for m, one in answers.witnesses.items()}
    every = np.ones(len(answers.times), bool)
    shared = Witness(np.asarray(timeline.product(ratios, truths, weights)), every, every, np.ones(len(every)))
    return timeline.going_on(
        filtered(replace(answers, witnesses={"": shared}), calibration, labels)[""], rest
    )


def told(
    times: Floats, log_odds: Floats, threshold: float, labels: Sequence[str], lasting: Collection[str] = ()
) -> list[Told]:
    """Return what a timeline with this threshold tells, by its log-odds [T, C]; `lasting` are its states."""
    episodes, found = Episodes(labels, lasting), list[Told]()
    above = np.flatnonzero(log_odds.max(axis=1, initial=-np.inf) >= threshold - LINGER * bool(lasting))
    steps = np.union1d(above, np.maximum(above - 1, 0))  # the others change nothing
    happenings = (one for i in steps for one in episodes.step(float(times[i]), log_odds[i], threshold))
    for one in chain(happenings, episodes.end(np.inf)):
        if one.ended is None:
            found.append(Told(one.label, one.began, one.began, one.at))
        else:
            found[-1] = Told(one.label, one.began, one.ended, found[-1].at)
    return found


@dataclass(frozen=True, slots=True)
class Counts:
    """The spans that were found, the false events, the `mistaken` ones of these, and delays in seconds."""

    spans: int
    found: int
    false: int
    mistaken: int
    hours: float
    delays: tuple[float, ...]


def states(spans: Iterable[Span]) -> frozenset[str]:
    """Return the classes that last, by the median length of their spans."""
    lengths = dict[str, list[float]]()
    for span in spans:
        lengths.setdefault(span.label, []).append(span.end - span.begin)
    return frozenset(label for label, own in lengths.items() if np.median(own) >= STATE)


def count(streams: Sequence[tuple[Answered, Sequence[Told]]], lasting: Iterable[str] = ()) -> Counts:
    """Count what was told of streams; the delay of a `lasting` class counts from its beginning."""
    found, false, wrong, delays = 0, 0, 0, list[float]()
    for answers, own in streams:
        matching = match(own, answers.spans)
        found, false = found + len(matching.found), false + len(matching.false)
        wrong += mistaken(own, answers.spans, matching)
        for at, place in matching.found.items():
            span = answers.spans[at]
            delays.append(own[place].at - (span.begin if span.label in lasting else span.end))
    spans = sum(len(answers.spans) for answers, _ in streams)
    hours = sum(answers.hours for answers, _ in streams)
    return Counts(spans, found, false, wrong, hours, tuple(delays))


def thresholds(log_odds: Sequence[Floats], points: int = POINTS) -> list[float]:
    """Return thresholds for a curve, falling: those that more and more windows reach."""
    tops = np.concatenate([one.max(axis=1) for one in log_odds if len(one)] or [np.zeros(1)])
    shares = np.geomspace(1 / len(tops), 0.98, points)
    return sorted({float(one) for one in np.quantile(tops, 1 - shares)}, reverse=True)


def score(
    streams: Sequence[Answered],
    calibration: TimelineCalibration,
    labels: Sequence[str],
    subset: str,
    condition: str = "",
) -> StreamScore:
    """Score a set of sensors on streams, at the threshold and along the curve."""
    sensors = subsets.parse(subset)
    weights = calibration.weights(sensors)
    threshold = calibration.threshold(sensors)
    above = [
        odds(one, filtered(one, calibration, labels), calibration, labels, weights) - threshold
        for one in streams
    ]
    lasting = states(span for one in streams for span in one.spans)

    def at(margin: float) -> list[tuple[Answered, list[Told]]]:
        pairs = zip(streams, above, strict=True)
        linger = timeline.states(calibration, labels)
        return [(one, told(one.times, own, margin, labels, linger)) for one, own in pairs]

    pairs = at(0.0)
    counts = count(pairs, lasting)
    curve = []
    for margin in sorted({*thresholds(above), 0.0}, reverse=True):  # the operating point lies on it
        point = count(at(margin), lasting)
        share = point.found / point.spans if point.spans else None
        curve.append(CurvePoint(threshold + margin, share, point.false / point.hours))
    low, high = poisson_interval(counts.false)
    delays = np.array(counts.delays)
    return StreamScore(
        subset,
        condition,
        counts.hours,
        counts.spans,
        counts.found / counts.spans if counts.spans else None,
        *(wilson(counts.found, counts.spans) if counts.spans else (0.0, 1.0)),
        counts.false,
        counts.mistaken,
        counts.false / counts.hours,
        low / counts.hours,
        high / counts.hours,
        float(np.median(delays)) if len(delays) else None,
        float(np.quantile(delays, 0.95)) if len(delays) else None,
        segments(pairs) if lasting else None,
        _weighed(pairs, _edits) if lasting else None,
        tuple(curve),
    )


def segments(streams: Sequence[tuple[Answered, Sequence[Told]]]) -> float:
    """Return the F1 of segments of streams, each weighed by its spans."""
    return _weighed(streams, segments_f1)


def _weighed(
    streams: Sequence[tuple[Answered, Sequence[Told]]], of: Callable[[Sequence[Told], Sequence[Span]], float]
) -> float:
    sizes = [len(answers.spans) for answers, _ in streams]
    values = [of(own, answers.spans) for answers, own in streams]
    return float(np.average(values, weights=sizes))


def _edits(own: Sequence[Told], spans: Sequence[Span]) -> float:
    return edit_score([one.label for one in own], [span.label for span in spans])


def audit_streams(
    bundle: Bundle,
    streams: Sequence[Stream],
    *,
    declared: Mapping[str, Modality] | None = None,
    conditions: Sequence[Applied] = (),
    progress: Progress = no_progress,
) -> list[StreamScore]:
    """Score every measured set of a bundle's sensors on streams, then under each condition.

    Each window is encoded once. A set is scored on the streams that have all its modalities.

    Raises:
        BadDataError: there is no stream, one cannot be decoded or has a label that the bundle has not, or the
            bundle has no timeline, as its data had no streams of the split calibrate.
    """
    calibration, labels = bundle.manifest.calibration.timeline, bundle.labels
    if calibration is None:
        raise BadDataError(
            f"{bundle.path}: tells no moments, because its data had no streams of the split calibrate; add "
            "some to streams.jsonl, and export it again"
        )
    if not streams:
        raise BadDataError("no stream to audit; streams.jsonl lists them, see docs/reference/data.md")
    for stream in streams:
        if odd := next((span for span in stream.spans if span.label not in labels), None):
            raise BadDataError(f"stream {stream.id!r}: the bundle has no label {odd.label!r}; leave it out")
    found, done = list[StreamScore](), 0
    for applied in ((), *((one,) for one in conditions)):
        degraded = {one.modality for one in applied}
        text = " and ".join(f"{one.modality}={one.condition.name}:{one.severity}" for one in applied)
        heard = dict[Subset, list[Answered]]()
        for stream in streams:
            windows = encode_stream(bundle, stream, conditions=applied)
            hours = seconds(stream, declared or {}) / 3600
            for subset in _sets(bundle, stream):
                if degraded <= {*subset}:
                    one = answered(bundle.classifier, bundle.specs, windows, subset, stream.spans, hours)
                    heard.setdefault(subset, []).append(one)
            done += 1
            progress(done, len(streams) * (1 + len(conditions)))
        for subset in sorted(heard, key=lambda one: (len(one), one)):
            found.append(score(heard[subset], calibration, labels, subsets.name(subset), text))
    return found


def _sets(bundle: Bundle, stream: Stream) -> Iterator[Subset]:
    return (one for one in subsets.measured(bundle.modalities) if {*one} <= {*stream.modalities})
