"""The answers of every subset to labelled examples: of the classifier alone, and as a session gives them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.judge import UNFAMILIAR, Answers, Judge
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.float32]


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


def policy_answers(
    judge: Judge, plain: Mapping[Subset, Answers], usable: Mapping[str, NDArray[np.bool_]]
) -> dict[Subset, Answers]:
    """Return the answers of a session with each subset, by windows `usable` (there, familiar), bool [N]."""
    given = {}
    for subset in plain:
        there = np.stack([usable[m] for m in subset])
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
