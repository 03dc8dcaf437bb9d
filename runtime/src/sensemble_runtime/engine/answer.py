"""The answer of a set of sensors: one wiring of evidence, presence and lies for whatever asks.

A session, an audit, a node of the page's lattice and a what-if call it, so that they answer equally.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress
from types import MappingProxyType
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.classifier import Classifier, Evidence
from sensemble_runtime.bundle.head import KNOWN
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.belief import RARE, are_strange, believe, whole
from sensemble_runtime.prediction import Doubt, Opinion
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.floating]
Truths = NDArray[np.bool_]

DOUBTS: tuple[Doubt | None, ...] = (None, *get_args(Doubt))  # by code
SURE, UNFAMILIAR, SEVERAL, DISAGREEMENT = range(len(DOUBTS))
NONE = -20.0  # the log-odds of a known scene in a window that shows nothing
_LEAST = 1e-9
_NOBODY: Mapping[str, Floats | float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers of one set of sensors to N inputs."""

    probabilities: NDArray[np.float32]  # [N, C], calibrated
    doubts: NDArray[np.int8]  # [N], places in `DOUBTS`
    threshold: float  # the confidence from which an answer is sure

    @property
    def evident(self) -> Truths:
        """True where there is evidence, bool [N]: an answer or, of unfamiliar windows, a guess."""
        alike = self.probabilities.max(axis=1) == self.probabilities.min(axis=1)
        return np.asarray((self.doubts != UNFAMILIAR) | ~alike)

    def opinion(self, labels: tuple[str, ...]) -> Opinion:
        """Return the first of them."""
        probabilities = self.probabilities[0]
        probabilities.setflags(write=False)
        return Opinion(probabilities, self.threshold, labels, DOUBTS[self.doubts[0]])


def answer(
    evidence: Mapping[str, Evidence],
    present: Mapping[str, Truths],
    subset: Subset,
    redundancy: float,
    task: Task,
    threshold: float,
    lies: Mapping[str, Floats | float] = _NOBODY,
) -> Answers:
    """Return the answers of the sensors of `subset` alone to N inputs.

    An unfamiliar sensor has no opinion, and may be strange. Without a familiar one, those that are likelier
    known than not (`head.KNOWN`) still name the likeliest class, never surely. Without such, there is no
    evidence.

    Args:
        evidence: by modality, that of N windows; any finite values where it is absent.
        present: by modality, bool [N], whether an input has it.
        subset: the modalities that are asked, sorted.
        redundancy, task: as for `belief.fuse`.
        threshold: the confidence from which an answer is sure.
        lies: by modality, and by `belief.whole` of a device, the probability [N] or of all that it lies;
            others lie as any does (`RARE`).
    """
    own = [evidence[m] for m in subset]
    there = np.stack([present[m] for m in subset])
    usable = np.stack([evidence[m].usable(present[m]) for m in subset])
    far = np.stack([_far(evidence[m], present[m]) for m in subset])
    odds = np.stack([np.zeros(there.shape[1]) if one.known is None else one.known for one in own])
    unlike = ~usable.any(axis=0)
    asked = np.where(unlike, there & (odds >= -KNOWN), usable)
    against = are_strange(there & ~usable & ~asked, far, [one.device for one in own])
    chances = np.stack([np.broadcast_to(lies.get(m, RARE), there.shape[1:]) for m in subset])
    devices = {
        one.device: np.broadcast_to(lies.get(whole(one.device), RARE), there.shape[1:])
        for one in own
        if one.device
    }
    opinions = np.stack([one.opinions(task) for one in own])
    probabilities = np.full(opinions.shape[1:], 1 / opinions.shape[2], np.float32)
    doubts = np.empty(there.shape[1], np.int8)
    sets, which = np.unique(np.stack([asked, against]), axis=2, return_inverse=True)
    for number, (live, strange) in enumerate(np.moveaxis(sets, 2, 0)):
        rows = np.flatnonzero(which.reshape(-1) == number)
        if live.any():
            some = [one.take(rows) for one in compress(own, live)]
            turned = {device: chance[rows] for device, chance in devices.items()}
            lying = chances[live][:, rows]
            probabilities[rows] = believe(some, lying, redundancy, task, int(strange.sum()), turned)
            tops = opinions[live][:, rows].argmax(axis=-1)
            unsure = np.where((tops != tops[0]).any(axis=0), DISAGREEMENT, SEVERAL)
            doubts[rows] = np.where(probabilities[rows].max(axis=1) >= threshold, SURE, unsure)
    doubts[unlike] = UNFAMILIAR
    return Answers(probabilities, doubts, threshold)


def against_none(one: Evidence) -> Floats:
    """Return what N windows of a sensor say to a timeline: log-likelihood ratios [N, C] against no class.

    It asks more than which class a window shows: whether it shows one. A window that is unfamiliar has no
    opinion of the classes, so its ratio is the same for all; one that is far, silent or covered, shows none.
    """
    count, size = one.classes.shape
    familiar = one.usable(np.ones(count, bool))
    prior = np.full(size, 1 / size) if one.prior is None else one.prior
    ratio = np.where(familiar[:, None], np.log(np.maximum(one.classes, _LEAST) / prior), 0)
    ratio += 0 if one.known is None else one.known[:, None]
    return np.where((familiar | ~_far(one, familiar))[:, None], ratio, NONE)


def honest(lies: Mapping[str, Floats | float], modality: str, device: str | None) -> Floats | float:
    """Return the probability that neither a sensor nor its device lies; `lies` as in `answer`."""
    return (1 - lies.get(modality, RARE)) * ((1 - lies.get(whole(device), RARE)) if device else 1)


def _far(one: Evidence, present: Truths) -> Truths:
    return np.zeros(len(present), bool) if one.far is None else one.far


def answer_now(
    classifier: Classifier,
    evidence: Mapping[str, Evidence],
    subset: Subset,
    lies: Mapping[str, Floats | float] = _NOBODY,
) -> Answers:
    """Return the `answer` of the sensors of `subset` at one moment, by evidence of one window each."""
    there = dict.fromkeys(subset, np.ones(1, bool))
    rule = classifier.redundancy, classifier.task, classifier.threshold
    return answer(evidence, there, subset, *rule, lies)


def opinion(
    classifier: Classifier,
    evidence: Mapping[str, Evidence],
    subset: Subset,
    lies: Mapping[str, Floats | float] = _NOBODY,
) -> Opinion:
    """Return the same as an `Opinion`."""
    return answer_now(classifier, evidence, subset, lies).opinion(classifier.labels)
