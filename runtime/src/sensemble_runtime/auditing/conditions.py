"""The audit under conditions: the score of every subset while one of its sensors is degraded.

A condition costs one encoding of the degraded modality for each example that has it; the subsets with it then
cost one matrix product. All five severities of all conditions of three sensors are 110 such rounds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.degrading import begin, captured
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.degraded import degraded_window

from sensemble_runtime import subsets
from sensemble_runtime.auditing.intervals import bootstrapped, proportion
from sensemble_runtime.auditing.resampling import average_precisions
from sensemble_runtime.auditing.scores import score
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.calibration import are_sure, calibrated_subsets, of_subset
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.record.reader import read_answers, read_conditions, read_runs
from sensemble_runtime.subsets import CLEAN, ConditionScore, Subset, SubsetScore

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled examples, encoded as they are.

    Attributes:
        examples: N of them.
        embeddings: float32 [n, N, d] of the bundle's modalities, sorted; zeros where an example lacks one.
        present: modality -> bool [N], whether each example has it.
        truth: class indices [N], or zeros and ones [N, C] if the task is multi-label.
        groups: the group of each, integers [N].
    """

    examples: Sequence[Example]
    embeddings: Floats
    present: Mapping[str, NDArray[np.bool_]]
    truth: NDArray[np.integer]
    groups: NDArray[np.integer]


def clean_scores(bundle: Bundle, labelled: Labelled) -> list[ConditionScore]:
    """Return the scores of all subsets without any degradation."""
    answered = np.ones(len(labelled.examples), bool)
    found = _predictions(bundle, labelled.embeddings)
    return [
        _score(bundle, labelled, ("", CLEAN, 0), "", subset, predicted, answered)
        for subset, predicted in found.items()
        if _has(labelled, subset).any()
    ]


def scores_under(
    bundle: Bundle, labelled: Labelled, applied: Applied, done: Callable[[], None]
) -> list[ConditionScore]:
    """Return the scores of the subsets with a degraded modality.

    The examples are one stream, as in a replay. Where the degraded sensor gives nothing in time, the rest of
    a subset answers; where there is no rest, the example counts as wrong and as unsure.

    Args:
        bundle: an open bundle.
        labelled: the examples.
        applied: the condition, and the modality that it degrades.
        done: called after each example.

    Raises:
        BadDataError: an example cannot be decoded.
        EncoderError, BundleError: as `Bundle.encode`.
    """
    modality, spec = applied.modality, bundle.specs[applied.modality]
    degrade, form = begin([applied], spec), captured([applied], spec)
    embeddings, there = labelled.embeddings.copy(), np.zeros(len(labelled.examples), bool)
    row = bundle.modalities.index(modality)
    for column, example in enumerate(labelled.examples):
        if modality in example.modalities:
            data = degraded_window(kind_of(modality).samples(example, form, 0.0), spec, degrade)
            there[column] = data is not None
            if data is not None:
                tensor = bundle.tokenize(data) if isinstance(data, str) else data
                embeddings[row, column] = bundle.encode(modality, tensor)
        done()
    found = _predictions(bundle, embeddings)
    scores = []
    for subset, predicted in found.items():
        if modality not in subset or not _has(labelled, subset).any():
            continue
        rest = tuple(m for m in subset if m != modality)
        if rest:
            predicted.probabilities[~there] = found[rest].probabilities[~there]
            predicted.sure[~there] = found[rest].sure[~there]
        answered = there if not rest else np.ones_like(there)
        key = (modality, applied.condition.name, applied.severity)
        effect = applied.condition.described(applied.severity)
        scores.append(_score(bundle, labelled, key, effect, subset, predicted, answered))
    return scores


def finished(record: Path, run: int) -> dict[tuple[str, str, int], list[ConditionScore]]:
    """Return the scores that interrupted audits like `run` hold, by condition: none is measured again.

    An audit is like another if it gave the same answers of the same bundle to the same examples.

    Raises:
        RecordError: the record cannot be read.
    """
    runs = {r.id: r for r in read_runs(record)}
    this = runs.pop(run)
    found: dict[tuple[str, str, int], list[ConditionScore]] = {}
    for other in runs.values():
        alike = (other.kind, other.bundle, other.dataset, other.split) == (
            this.kind,
            this.bundle,
            this.dataset,
            this.split,
        )
        if other.ended is None and alike and (scores := read_conditions(record, other.id)):
            if set(_answers(record, other.id)) != set(_answers(record, run)):
                continue
            for one in scores:
                found.setdefault(one.key, []).append(one)
    return found


def _answers(record: Path, run: int) -> Iterator[tuple[object, ...]]:
    for a in read_answers(record, run):
        yield a.example, a.line, a.truth, a.subset, a.label, a.probabilities.tobytes()


def _has(labelled: Labelled, subset: Subset) -> NDArray[np.bool_]:
    """Return whether each example has all modalities of a subset, bool [N]."""
    return np.asarray(np.all([labelled.present[m] for m in subset], axis=0))


@dataclass(frozen=True, slots=True)
class _Predicted:
    """The calibrated probabilities, float32 [N, C], of a subset, and whether each is sure, bool [N]."""

    probabilities: Floats
    sure: NDArray[np.bool_]


def _predictions(bundle: Bundle, embeddings: Floats) -> dict[Subset, _Predicted]:
    """Return the predictions of each subset, of embeddings float32 [n, N, d]."""
    found = calibrated_subsets(bundle.head.logits(pool_subsets(embeddings)), bundle.manifest)
    predicted = {}
    for subset, probabilities in zip(subsets.subsets(bundle.modalities), found, strict=True):
        threshold = of_subset(bundle.manifest.calibration, subset).threshold
        predicted[subset] = _Predicted(probabilities, are_sure(probabilities, threshold, bundle.head.task))
    return predicted


def _score(
    bundle: Bundle,
    labelled: Labelled,
    key: tuple[str, str, int],
    effect: str,
    subset: Subset,
    predicted: _Predicted,
    answered: NDArray[np.bool_],
) -> ConditionScore:
    """Score predictions on the examples that have the subset; not `answered` ones are wrong, and unsure."""
    has = _has(labelled, subset)
    truth, groups, known = labelled.truth[has], labelled.groups[has], answered[has]
    found, sure = predicted.probabilities[has], predicted.sure[has]
    if bundle.manifest.task == "multi-class":
        right = (found.argmax(axis=1) == truth) & known
        value = float(right.mean())
        low, high = proportion(right, groups)
    else:
        found = np.where(known[:, None], found, 0)
        value = score(found, truth, "multi-label")
        drawn = average_precisions(found, truth, groups, np.ones(len(truth), bool))
        low, high = bootstrapped(drawn, value, len(np.unique(groups)))
    confidence = float(found[known].max(axis=1).mean()) if known.any() else 0.0
    scored = SubsetScore(value, int(has.sum()), low, high)
    unsure = 1 - float((known & sure).mean())
    return ConditionScore(*key, effect, subsets.name(subset), scored, confidence, unsure)
