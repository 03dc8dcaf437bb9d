"""The answers of every subset to labelled examples: to each alone, and as a session gives them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.belief import RARE, SCENE, UNFAMILIAR, Belief, doubts, fuse
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.floating]
Opinions = Mapping[str, Floats]
"""By modality, what N examples say [N, C] (`Classifier.opinions`); those that lack it, anything finite."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers of one live set to N inputs."""

    probabilities: Floats  # [N, C], calibrated
    doubts: NDArray[np.int8]  # [N], places in `DOUBTS`
    threshold: float  # the confidence from which an answer is sure


def plain(opinions: Opinions, sets: Iterable[Subset], redundancy: float, task: Task) -> dict[Subset, Floats]:
    """Return each subset's probabilities [N, C] by all its windows, familiar or not, before any scene."""
    return {
        subset: fuse(
            np.stack([opinions[m] for m in subset]), np.full((len(subset), 1), RARE), redundancy, task
        )
        for subset in sets
    }


class Sessions:
    """Sessions with the sensors of each subset, which get the examples as one stream, a scene each."""

    def __init__(self, sets: Sequence[Subset], redundancy: float, task: Task, threshold: float) -> None:
        self._beliefs = {subset: Belief(subset) for subset in sets}
        self._redundancy, self._task, self._threshold = redundancy, task, threshold
        self._scenes = 0

    def answers(self, opinions: Opinions, usable: Mapping[str, NDArray[np.bool_]]) -> dict[Subset, Answers]:
        """Return the answers to the next N examples; `usable` [N], by modality: there and familiar."""
        given = {}
        for subset, belief in self._beliefs.items():
            there = np.stack([usable[m] for m in subset])
            given[subset] = self._answered(
                subset, opinions, there, self._lies(subset, belief, opinions, there)
            )
        self._scenes += len(next(iter(usable.values())))
        return given

    def first(self, opinions: Opinions, usable: Mapping[str, NDArray[np.bool_]]) -> dict[Subset, Answers]:
        """Return the answers to N examples, each the first of its session."""
        there = {subset: np.stack([usable[m] for m in subset]) for subset in self._beliefs}
        return {s: self._answered(s, opinions, rows, np.full(rows.shape, RARE)) for s, rows in there.items()}

    def _lies(self, subset: Subset, belief: Belief, opinions: Opinions, there: NDArray[np.bool_]) -> Floats:
        """Return the probabilities [n, N] that each modality lies, by the scenes before each example."""
        lies = np.full(there.shape, RARE)
        if len(subset) == 1 or self._task == "multi-label":
            return lies
        for i, present in enumerate(there.T):
            lies[:, i] = list(belief.lies.values())
            if present.any():
                belief.learn(
                    {m: opinions[m][i] for m in compress(subset, present)}, (self._scenes + i) * SCENE
                )
        return lies

    def _answered(
        self, subset: Subset, opinions: Opinions, there: NDArray[np.bool_], lies: Floats
    ) -> Answers:
        stacked = np.stack([opinions[m] for m in subset])
        probabilities = np.full(stacked.shape[1:], 1 / stacked.shape[2], np.float32)
        reasons = np.full(there.shape[1], UNFAMILIAR, np.int8)
        sets, which = np.unique(there, axis=1, return_inverse=True)
        for number, members in enumerate(sets.T):
            rows = which.reshape(-1) == number
            if members.any():
                of_live = stacked[members][:, rows]
                probabilities[rows] = fuse(of_live, lies[members][:, rows], self._redundancy, self._task)
                reasons[rows] = doubts(probabilities[rows], of_live, self._threshold)
        return Answers(probabilities, reasons, self._threshold)
