"""The calibration of a bundle, fitted with the artifacts that ship, and their scores."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import plain
from sensemble_runtime.auditing.calibration import (
    CONFIDENT,
    LEAST,
    REDUNDANT,
    RISK,
    UNFAMILIAR,
    calibrate,
    familiar_limit,
    fit_prior,
    fit_redundancy,
    fit_threshold,
)
from sensemble_runtime.auditing.intervals import Groups, group_codes, people_codes, student
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.auditing.sparing_audit import Schedule
from sensemble_runtime.auditing.sparing_fit import Wishes, fit_sparing, processor_costs
from sensemble_runtime.auditing.stream_audit import Answered, answered
from sensemble_runtime.auditing.stream_windows import StreamWindows
from sensemble_runtime.auditing.timeline_fit import ASKED, fit_timeline
from sensemble_runtime.bundle.classifier import Classifier, Evidence
from sensemble_runtime.bundle.head import KNOWN, Familiarity, Head
from sensemble_runtime.bundle.manifest import Calibration, Manifest, TimelineCalibration
from sensemble_runtime.scores import SubsetScore
from sensemble_sensors.media.spans import Span
from sensemble_sensors.spec import InputSpec
from sensemble_train.data.clips import Clips
from sensemble_train.recipe.linear import fit_linear
from torch import Tensor

from sensemble_export.lowering.targets import Job
from sensemble_export.measuring import familiarity
from sensemble_export.measuring.artifact_store import ArtifactStore
from sensemble_export.measuring.parity import Floats

GAIN = 0.03
"""The share of moments that windows twice as often must find more: they cost twice the processor time."""
LEAST_KNOWN = 19  # known windows below which a share of them gives no limit: the odds of any window do


@dataclass(frozen=True, slots=True)
class StreamInput:
    """A stream: spans, hours, and by modality when each window ends, [n], and the windows [n, ...].

    They come twice as often as the specs say (`finer`).
    """

    spans: tuple[Span, ...]
    hours: float
    ends: Mapping[str, Floats]
    windows: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class FittedOn:
    """The examples that calibration is fitted on, none of them of eval; all windows are raw."""

    calibrate: Clips | None = None  # None: nothing is scaled, and nothing can be promised
    groups: Groups = ()  # of `calibrate`
    people: Sequence[str | None] = ()  # of `calibrate` (`Example.person`)
    folds: NDArray[np.integer] | None = None  # of `calibrate`, [N], if a linear student learned from it
    unseen: NDArray[np.bool_] | None = (
        None  # of `calibrate`, [N], what familiarity is not fitted to; None: all
    )
    known: Mapping[str, Tensor] = field(default_factory=dict)  # trained on; empty: no scores of familiarity
    background: Mapping[str, Tensor] = field(default_factory=dict)  # `familiarity.synthetic`
    degraded: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    streams: Sequence[StreamInput] = ()  # of the split calibrate
    spans: tuple[Span, ...] = ()  # of the streams of train and calibrate: how long a class lasts
    false_per_hour: float = ASKED
    plan: Schedule | None = None  # `calibrate` in virtual time
    wishes: Wishes = field(default_factory=Wishes)  # of sparing


NOTHING = FittedOn()


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embeddings of `FittedOn` by modality, float32 [n, d], none of them empty."""

    calibrate: Mapping[str, Floats]  # of the examples that have it
    known: Mapping[str, Floats]
    background: Mapping[str, Floats]
    degraded: Mapping[str, Floats]
    streams: Sequence[Mapping[str, Floats]]  # of each

    @classmethod
    def of(cls, store: ArtifactStore, jobs: Sequence[Job], data: FittedOn) -> "Embedded":
        """Embed all windows at once by the artifacts of `jobs` that run here: each is loaded once a core."""
        clips, described, labelled = data.calibrate, store.model.description, dict[str, Tensor]()
        if clips is not None and clips.targets is not None:
            labelled = {m: rows[clips.present[m]] for m, rows in clips.inputs.items()}
        hard = {m: rows for m, (rows, _) in data.degraded.items()}
        heard = [one.windows for one in data.streams if labelled and described.task == "multi-class"]
        uses = labelled, data.known, data.background, hard, *heard
        parts = {m: [one[m] for one in uses if len(one.get(m, ()))] for m in store.model.modalities}
        found = store.embed({m: some for m, some in parts.items() if some}, jobs)
        left = {m: iter(np.split(rows, np.cumsum([*map(len, parts[m])])[:-1])) for m, rows in found.items()}
        each = [{m: next(left[m]) for m in left if len(one.get(m, ()))} for one in uses]
        calibrate, known, background, degraded, *streams = each
        return cls(calibrate, known, background, degraded, streams)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration, the scores of familiarity, and the specs of a session, whose hops were chosen."""

    calibration: Calibration
    familiarity: Familiarity | None
    specs: Mapping[str, InputSpec]


def finer(specs: Mapping[str, InputSpec]) -> dict[str, InputSpec]:
    """Return specs whose windows come twice as often."""
    return {m: replace(spec, hop=spec.hop / 2) for m, spec in specs.items()}


def fit_calibration(store: ArtifactStore, jobs: Sequence[Job], data: FittedOn) -> Fitted:
    """Fit opinions, familiarity, the threshold and the timeline to the artifacts of `jobs` that run here."""
    specs: Mapping[str, InputSpec] = store.model.description.specs
    clips = data.calibrate
    embedded = Embedded.of(store, jobs, data)
    labelled = embedded.calibrate
    present = {m: clips.present[m].numpy() for m in labelled} if clips is not None else {}
    unseen = {m: there if data.unseen is None else there & data.unseen for m, there in present.items()}
    held = {m: rows[unseen[m][present[m]]] for m, rows in labelled.items()}
    scores = _fit_familiarity(store, data, embedded, held) if data.known else None
    if not labelled or clips is None or clips.targets is None:
        return Fitted(Calibration(RISK, CONFIDENT, 0, REDUNDANT, {}, {}), scores, specs)
    pooled, present = store.logits(labelled, clips)
    logits = dict(zip(present, pooled, strict=False))  # the first are of each modality alone
    ways = group_codes(data.groups or [None] * len(clips)).reshape(len(clips), -1).T  # of grouping
    limits, familiar = dict[str, float](), {m: there.copy() for m, there in present.items()}
    far = {m: np.zeros(len(there), bool) for m, there in present.items()}
    for m, found in _likeness(store, scores, labelled, present).items():
        limits[m] = limit_of(found[unseen[m]], ways[:, unseen[m]])
    for row, m in enumerate(sorted(store.model.modalities)):
        if scores is not None and m in limits:
            scores = familiarity.stretched(scores, row, held[m], ways[:, unseen[m]], limits[m])
            far[m][present[m]] = scores.are_far(row, labelled[m], limits[m])
    likeness = _likeness(store, scores, labelled, present)
    for m, found in likeness.items():
        familiar[m][present[m]] = found[present[m]] >= limits[m]
    truth, task = clips.targets.numpy(), store.head.task
    if data.folds is not None:
        logits = {
            m: _left_out(store, m, rows, truth[present[m]], data.folds, present[m])
            for m, rows in labelled.items()
        }
    fitted = calibrate(logits, familiar, truth, task, ways[-1])
    start = Calibration(RISK, CONFIDENT, 0, REDUNDANT, fitted, limits)
    evidence = {
        m: replace(one, familiar=familiar[m], far=far[m])
        for m, one in evidence_of(store, start, logits, likeness).items()
    }
    if (prior := fit_prior(evidence, familiar, truth, task)) is not None:
        evidence = {m: replace(one, prior=prior) for m, one in evidence.items()}
        start = replace(start, prior=tuple(prior.tolist()))
    redundancy = fit_redundancy(evidence, familiar, truth, task)
    people = people_codes(data.people or [None] * len(clips))
    threshold, count = fit_threshold(evidence, present, truth, task, people, redundancy)
    fit = replace(start, threshold=threshold, groups=count, redundancy=redundancy)
    if (timed := _fit_timeline(store, data, embedded, fit, scores)) is not None:
        timeline, specs = timed
        fit = replace(fit, timeline=timeline)
    if data.plan is not None and task != "multi-label":
        wishes = _with_costs(data.wishes, store, jobs, specs)
        fit = replace(
            fit, sparing=fit_sparing(evidence, present, truth, people, fit, specs, data.plan, wishes)
        )
    return Fitted(fit, scores, specs)


def _with_costs(
    wishes: Wishes, store: ArtifactStore, jobs: Sequence[Job], specs: Mapping[str, InputSpec]
) -> Wishes:
    """Return the wishes with the costs that were measured, if these are wished."""
    found = {job.modality: store.made[job].measured for job in jobs if job.target == jobs[0].target}
    took = {m: one.costs.median_ms for m, one in found.items() if one is not None}
    return replace(wishes, costs=processor_costs(specs, took)) if wishes.measured else wishes


def _left_out(
    store: ArtifactStore,
    modality: str,
    embeddings: Floats,
    truth: NDArray[np.integer],
    folds: NDArray[np.integer],
    present: NDArray[np.bool_],
) -> Floats:
    """Return the logits [N, C] of a linear student, fitted anew without the fold of each example."""
    described = store.model.description
    config = described.configs[modality]
    own = torch.from_numpy(embeddings[:, None])[..., config.place :][..., : config.components]
    turns, classes = torch.from_numpy(folds[present]), len(described.labels)
    fitted = fit_linear(own, torch.from_numpy(truth), turns, classes, described.task, decay=config.decay)
    logits = np.zeros((len(present), classes), np.float32)
    logits[present] = fitted.left_out.numpy()
    return logits


def _fit_timeline(
    store: ArtifactStore,
    data: FittedOn,
    embedded: Embedded,
    calibration: Calibration,
    scores: Familiarity | None,
) -> tuple[TimelineCalibration, Mapping[str, InputSpec]] | None:
    """Return the numbers of the timeline and the specs with the hop that is worth its cost."""
    described = store.model.description
    if not data.streams or described.task != "multi-class":
        return None
    head = Head(store.head.weight, store.head.bias, store.head.task, scores)
    devices = {m: spec.device for m, spec in described.specs.items()}
    classifier = Classifier(head, calibration, described.labels, described.specs, devices)
    streams = [
        (one, {m: StreamWindows(one.ends[m], rows) for m, rows in own.items()})
        for one, own in zip(data.streams, embedded.streams, strict=True)
    ]

    def fitted(specs: Mapping[str, InputSpec], every: int) -> TimelineCalibration | None:
        answers = dict[subsets.Subset, list[Answered]]()
        for one, own in streams:
            windows = {
                m: StreamWindows(w.ends[::every], w.embeddings[::every]) if specs[m].hop else w
                for m, w in own.items()
            }
            for subset in subsets.measured(store.model.modalities):
                if {*subset} <= {*windows}:
                    found = answered(classifier, specs, windows, subset, one.spans, one.hours)
                    answers.setdefault(subset, []).append(found)
        return fit_timeline(answers, data.spans, described.labels, data.false_per_hour)

    often = finer(described.specs)
    seldom, dense = fitted(described.specs, 2), fitted(often, 1)
    if seldom is None or dense is None:
        return None
    return (dense, often) if dense.found >= seldom.found + GAIN else (seldom, described.specs)


def limit_of(scores: Floats, ways: NDArray[np.integer]) -> float:
    """Return the least score of a familiar window, by those [N] of known ones in groups, [ways, N].

    Where a share `UNFAMILIAR` is less than a window, the least score says little of the next one: the limit
    is no higher than what that share of new scores falls below if they are normal (Student's prediction
    interval). Fewer windows tell no share at all. Then a window is unfamiliar if it is likelier unknown than
    known, by its score and the odds of any window (`KNOWN`), unless a known one has less.
    """
    count = len(scores)
    if count < LEAST_KNOWN:
        return min(-KNOWN, float(scores.min()))
    limit = min(familiar_limit(scores, groups) for groups in ways)
    if UNFAMILIAR * (count + 1) >= 1:
        return limit
    spread = float(scores.std(ddof=1)) * math.sqrt(1 + 1 / count)
    return min(limit, float(scores.mean()) - student(1 - 2 * UNFAMILIAR, count - 1) * spread)


def evidence_of(
    store: ArtifactStore,
    calibration: Calibration,
    logits: Mapping[str, Floats],
    likeness: Mapping[str, Floats],
) -> dict[str, Evidence]:
    """Return the evidence of N windows of each modality, from logits [N, C] and log-odds [N], if any."""
    described, limits = store.model.description, calibration.familiar
    classifier = Classifier(store.head, calibration, described.labels, logits)
    return {
        m: Evidence(
            classifier.calibrated(m, own),
            likeness.get(m),
            limits.get(m, 0.0),
            device=described.specs[m].device,
            prior=classifier.prior,
        )
        for m, own in logits.items()
    }


def _likeness(
    store: ArtifactStore,
    scores: Familiarity | None,
    embeddings: Mapping[str, Floats],
    present: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Floats]:
    """Return the scores of familiarity [N] of each modality, by its embeddings [n, d]; 0 where absent."""
    found = dict[str, Floats]()
    for row, m in enumerate(sorted(store.model.modalities)):
        if scores is not None and m in present and present[m].any():
            found[m] = np.zeros(len(present[m]), np.float32)
            found[m][present[m]] = scores.scores(row, embeddings[m])
    return found


def _fit_familiarity(
    store: ArtifactStore, data: FittedOn, embedded: Embedded, held: Mapping[str, Floats]
) -> Familiarity:
    background = dict(embedded.background)
    for m, rows in embedded.degraded.items():
        wrong = rows[~_are_right(store.head, rows, data.degraded[m][1].numpy())]
        background[m] = np.concatenate([background.get(m, wrong[:0]), wrong])
    # Many known windows have no label: the head names the class.
    classes = {m: store.head.logits(rows).argmax(axis=1) for m, rows in embedded.known.items()}
    return familiarity.fit(embedded.known, background, classes, len(store.head.bias), held)


def _are_right(head: Head, embeddings: Floats, truth: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Tell whether the most probable class is a true one, bool [N], of embeddings [N, d]."""
    likeliest = head.logits(embeddings).argmax(axis=1)
    if head.task == "multi-label":
        return np.asarray(truth[np.arange(len(truth)), likeliest] > 0)
    return np.asarray(likeliest == truth)


def score_shipped(
    store: ArtifactStore, jobs: Sequence[Job], groups: Groups | None, calibration: Calibration
) -> dict[str, SubsetScore]:
    """Score each subset of the artifacts that run here on the held-out examples, with intervals."""
    targets = store.held_out.targets
    measured = {m: store.made[job].measured for m, job in store.running(jobs).items()}
    embeddings = {m: found.embeddings for m, found in measured.items() if found is not None}
    if targets is None or not embeddings:
        return {}
    pooled, present = store.logits(embeddings, store.held_out)
    likeness = _likeness(store, store.head.familiarity, embeddings, present)
    likeness = {m: found for m, found in likeness.items() if m in calibration.familiar}
    evidence = evidence_of(store, calibration, dict(zip(present, pooled, strict=False)), likeness)
    answers = plain(evidence, subsets.measured(present), calibration.redundancy, store.head.task)
    codes = group_codes(groups or [None] * len(store.held_out))
    found = measure(np.stack(list(answers.values())), present, targets.numpy(), store.head.task, codes)
    return found.subsets if found else {}


def describe_calibration(manifest: Manifest) -> Iterator[str]:
    """Yield lines that say what a bundle's confidence rests on, and what is promised."""
    calibration = manifest.calibration
    found = calibration.modalities
    if not found:
        yield (
            "not calibrated: the data has no examples of the split calibrate, so confidence is the "
            "classifier's own"
        )
    else:
        most = max(entry.examples for entry in found.values())
        yield f"calibrated on up to {most} examples of the split calibrate"
        few = [f"{m} ({entry.examples})" for m, entry in found.items() if entry.examples < LEAST]
        few += [f"{m} (0)" for m in manifest.modalities if m not in found]
        if few:
            yield f"not calibrated, for want of {LEAST} examples: {', '.join(few)}"
    yield calibration.promise
    if calibration.timeline is not None:
        yield calibration.timeline.promise
    if calibration.sparing is not None:
        yield calibration.sparing_promise
