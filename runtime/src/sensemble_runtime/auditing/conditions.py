"""The audit under conditions: the score of every subset while one of its sensors is degraded."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.degraded import begin, captured, degraded_window
from sensemble_sensors.kinds.conditions.condition import Applied, behind
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.sensor import Media

from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import SimulatedSessions, plain
from sensemble_runtime.auditing.encoding import encode
from sensemble_runtime.auditing.intervals import proportion, scored
from sensemble_runtime.auditing.metrics import score
from sensemble_runtime.auditing.reliability import outcomes
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.scores import CLEAN, ConditionScore, SubsetScore

Floats = NDArray[np.float32]
JointCondition = tuple[Applied, ...]  # one name and severity, of one or several modalities at once


@dataclass(frozen=True, slots=True)
class Labelled:
    """N labelled examples, encoded without degradation."""

    examples: Sequence[Example]
    embeddings: Floats  # [n, N, d] of the bundle's modalities, sorted; zeros where an example lacks one
    present: Mapping[str, NDArray[np.bool_]]  # by modality, [N]
    truth: NDArray[np.integer]  # class indices [N], or zeros and ones [N, C] if multi-label
    groups: NDArray[np.integer]  # `intervals.group_codes`


def clean_scores(bundle: Bundle, labelled: Labelled) -> list[ConditionScore]:
    """Return the scores of all subsets without any degradation."""
    sets = subsets.measured(bundle.modalities)
    return _scores(bundle, labelled, labelled.embeddings, sets, ("", CLEAN, 0), "")


def key_of(degradation: JointCondition) -> tuple[str, str, int]:
    """Return the key of the scores under a condition, `ConditionScore.key`."""
    first = degradation[0].condition
    return subsets.name(each.modality for each in degradation), first.name, degradation[0].severity


def scores_under(
    bundle: Bundle, labelled: Labelled, degradation: JointCondition, done: Callable[[], None]
) -> list[ConditionScore]:
    """Return the scores of the subsets with the degraded modalities; `done` is called after each example.

    The examples are one stream, as in a replay. If a degraded sensor gives an unfamiliar window, or is the
    suspect, the other sensors of a subset answer; without others, the answer is a guess, or none.
    """
    specs = {a.modality: bundle.specs[a.modality] for a in degradation}
    # Each its own seed: sensors that lie show unrelated scenes. Those of a device fail alike.
    seeds = list(dict.fromkeys(spec.device or m for m, spec in specs.items()))
    streams = {m: begin(degradation, spec, seeds.index(spec.device or m)) for m, spec in specs.items()}
    embeddings = labelled.embeddings.copy()

    def windows() -> Iterator[tuple[str, int, Media | str]]:
        for column, example in enumerate(labelled.examples):
            for m, spec in specs.items():
                if labelled.present[m][column]:
                    late = delayed(example, behind(a for a in degradation if a.modality == m))
                    samples = kind_of(spec).samples(late, captured(degradation, spec), 0.0)
                    yield m, column, degraded_window(samples, spec, streams[m])
            done()

    encode(bundle, windows(), dict(zip(bundle.modalities, embeddings, strict=True)))
    effect = " and ".join(dict.fromkeys(a.condition.described(a.severity) for a in degradation))
    sets = [subset for subset in subsets.measured(bundle.modalities) if specs.keys() <= {*subset}]
    return _scores(bundle, labelled, embeddings, sets, key_of(degradation), effect)


def delayed(example: Example, seconds: float) -> Example:
    """Return an example's samples if the sensor's clock is behind: those of `seconds` earlier.

    An example that begins with its media stays.
    """
    if not seconds or not example.start:
        return example
    begin = max(0.0, example.start - seconds)
    end = None if example.end is None else example.end - (example.start - begin)
    return replace(example, start=begin, end=end)


def _scores(
    bundle: Bundle,
    labelled: Labelled,
    embeddings: Floats,
    sets: Sequence[subsets.Subset],
    key: tuple[str, str, int],
    effect: str,
) -> list[ConditionScore]:
    classifier, task, there = bundle.classifier, bundle.manifest.task, labelled.present
    rows = dict(zip(bundle.modalities, embeddings, strict=True))
    evidence = {m: classifier.evidence(m, found) for m, found in rows.items()}
    alone = plain(evidence, sets, classifier.redundancy, task)
    given = SimulatedSessions(sets, classifier).answers(evidence, there)
    scores = []
    for subset in sets:
        has = np.asarray(np.all([there[m] for m in subset], axis=0))
        if not has.any():
            continue
        outcome = outcomes(given[subset], labelled.truth, task, has)
        plain_value = score(alone[subset][has], labelled.truth[has], task)
        if task == "multi-class":
            right, value = outcome.right, float(outcome.right.mean())
            scored_subset = SubsetScore(value, len(right), *proportion(right, labelled.groups[has]))
        else:
            scored_subset, _ = scored(given[subset].probabilities, labelled.truth, task, labelled.groups, has)
        measured, name = outcome.reliability, subsets.name(subset)
        shares = measured.confidence, measured.unsure, measured.sure_right
        scores.append(ConditionScore(*key, effect, name, scored_subset, *shares, plain_value))
    return scores
