"""The answers of every subset to labelled examples: to each example alone, and those of a session."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.classifier import Evidence
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.belief import (
    RARE,
    SCENE,
    UNFAMILIAR,
    Belief,
    Truths,
    are_strange,
    believe,
    doubts,
)
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.floating]
Said = Mapping[str, Evidence]
"""By modality, the evidence of N examples (`Classifier.evidence`); any finite values if it is absent."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers of one live set to N inputs."""

    probabilities: Floats  # [N, C], calibrated
    doubts: NDArray[np.int8]  # [N], places in `DOUBTS`
    threshold: float  # the confidence from which an answer is sure


def plain(said: Said, sets: Iterable[Subset], redundancy: float, task: Task) -> dict[Subset, Floats]:
    """Return each subset's probabilities [N, C] by all its windows, familiar or not, before any scene."""
    return {
        subset: believe([said[m] for m in subset], np.full((len(subset), 1), RARE), redundancy, task)
        for subset in sets
    }


class Sessions:
    """Sessions with the sensors of each subset, which get the examples as one stream, a scene each."""

    def __init__(self, sets: Sequence[Subset], redundancy: float, task: Task, threshold: float) -> None:
        self._beliefs = {subset: Belief(subset) for subset in sets}
        self._redundancy, self._task, self._threshold = redundancy, task, threshold
        self._scenes = 0

    def answers(
        self, said: Said, present: Mapping[str, Truths], familiar: Mapping[str, Truths]
    ) -> dict[Subset, Answers]:
        """Return the answers to the next N examples; `present` and `familiar` are [N], by modality."""
        given = {}
        for subset, belief in self._beliefs.items():
            there, usable = _rows(subset, present, familiar)
            given[subset] = self._answered(
                subset, said, there, usable, self._lies(subset, belief, said, usable)
            )
        self._scenes += len(next(iter(present.values())))
        return given

    def first(
        self, said: Said, present: Mapping[str, Truths], familiar: Mapping[str, Truths]
    ) -> dict[Subset, Answers]:
        """Return the answers to N examples, each the first of its session."""
        given = {}
        for subset in self._beliefs:
            there, usable = _rows(subset, present, familiar)
            given[subset] = self._answered(subset, said, there, usable, np.full(there.shape, RARE))
        return given

    def _lies(self, subset: Subset, belief: Belief, said: Said, usable: Truths) -> Floats:
        """Return the probabilities [n, N] that each modality lies, by the scenes before each example."""
        lies = np.full(usable.shape, RARE)
        if len(subset) == 1 or self._task == "multi-label":
            return lies
        opinions = {m: said[m].opinions(self._task) for m in subset}
        for i, present in enumerate(usable.T):
            lies[:, i] = list(belief.lies.values())
            if present.any():
                belief.learn(
                    {m: opinions[m][i] for m in compress(subset, present)}, (self._scenes + i) * SCENE
                )
        return lies

    def _answered(self, subset: Subset, said: Said, there: Truths, usable: Truths, lies: Floats) -> Answers:
        opinions = np.stack([said[m].opinions(self._task) for m in subset])
        probabilities = np.full(opinions.shape[1:], 1 / opinions.shape[2], np.float32)
        reasons = np.full(there.shape[1], UNFAMILIAR, np.int8)
        silent = there & ~usable
        far = np.zeros_like(silent)
        for row, m in enumerate(subset):
            if (found := said[m].far) is not None:
                far[row] = found
        against = are_strange(silent, far, [said[m].device for m in subset])
        sets, which = np.unique(np.stack([usable, against]), axis=2, return_inverse=True)
        for number, (live, strange) in enumerate(np.moveaxis(sets, 2, 0)):
            rows = np.flatnonzero(which.reshape(-1) == number)
            if live.any():
                some = [said[m].take(rows) for m in compress(subset, live)]
                chances, count = lies[live][:, rows], int(strange.sum())
                probabilities[rows] = believe(some, chances, self._redundancy, self._task, count)
                reasons[rows] = doubts(probabilities[rows], opinions[live][:, rows], self._threshold)
        return Answers(probabilities, reasons, self._threshold)


def _rows(
    subset: Subset, present: Mapping[str, Truths], familiar: Mapping[str, Truths]
) -> tuple[Truths, Truths]:
    """Return which of its modalities each example has, and which of those are familiar, both [n, N]."""
    there = np.stack([present[m] for m in subset])
    return there, there & np.stack([familiar[m] for m in subset])
