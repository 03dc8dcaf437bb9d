"""The answers of every subset to labelled examples: of the classifier alone, and as a session gives them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.judge import UNFAMILIAR, Answers, Judge
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.session.suspicion import SCENE, Suspicion
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.float32]
Used = Mapping[Subset, NDArray[np.bool_]]
"""By subset, bool [k, N]: whether the window of each of its k modalities takes part in an answer."""


def plain_answers(judge: Judge, logits: Floats, modalities: Sequence[str]) -> dict[Subset, Answers]:
    """Return the answers of each subset, as if all its windows were there and familiar.

    `logits` are float32 [2^n - 1, N, C] in the order of `subsets.subsets`; `modalities` are sorted.
    """
    by_set = dict(zip(subsets.subsets(modalities), logits, strict=True))
    answers = {}
    for subset, own in by_set.items():
        rows = [own, *(by_set[m,] for m in subset)] if len(subset) > 1 else [own]
        judged = judge.judge(subset, np.stack(rows))
        answers[subset] = Answers(judged.probabilities[0], judged.least[0], judged.doubts[0])
    return answers


class Sessions:
    """Sessions with the sensors of each subset, which get the examples as one stream, a scene each."""

    def __init__(self, modalities: Iterable[str], task: Task) -> None:
        # Of two sensors, none can be suspected.
        told = [s for s in subsets.subsets(modalities) if len(s) > 2 and task == "multi-class"]
        self._suspicions = {subset: Suspicion(subset) for subset in told}
        self._scenes = 0

    def used(self, plain: Mapping[Subset, Answers], usable: Mapping[str, NDArray[np.bool_]]) -> Used:
        """Return which windows of the next N examples take part in the answers of each subset.

        `usable` says by modality, bool [N], whether the window of each example is there and familiar.
        """
        used = together(plain, usable)
        for subset, suspicion in self._suspicions.items():
            for i, there in enumerate(used[subset].T):
                opinions = {m: plain[m,].probabilities[i] for m in compress(subset, there)}
                suspect = suspicion.note(opinions, (self._scenes + i) * SCENE)
                if suspect is not None and len(opinions) > 1:
                    there[subset.index(suspect)] = False
        self._scenes += len(next(iter(usable.values())))
        return used


def together(plain: Iterable[Subset], usable: Mapping[str, NDArray[np.bool_]]) -> Used:
    """Return the windows of each subset that are usable."""
    return {subset: np.stack([usable[m] for m in subset]) for subset in plain}


def policy_answers(judge: Judge, plain: Mapping[Subset, Answers], used: Used) -> dict[Subset, Answers]:
    """Return the answers of each subset by the windows that are used."""
    given = {}
    for subset, there in used.items():
        n = there.shape[1]
        probabilities = np.repeat(judge.no_evidence.probabilities[np.newaxis], n, axis=0)
        least, doubts = np.zeros(n, np.float32), np.full(n, UNFAMILIAR, np.int8)
        for live in subsets.subsets(subset):
            rows = (there == np.array([m in live for m in subset])[:, np.newaxis]).all(axis=0)
            answers = plain[live]
            probabilities[rows] = answers.probabilities[rows]
            least[rows], doubts[rows] = answers.least[rows], answers.doubts[rows]
        given[subset] = Answers(probabilities, least, doubts)
    return given
