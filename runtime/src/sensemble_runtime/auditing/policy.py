"""The answers of every subset to labelled examples: of its classifier alone, and as a session gives them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.judge import UNFAMILIAR, Answers, Judge
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.float32]


def plain_answers(judge: Judge, logits: Floats, modalities: Sequence[str]) -> dict[Subset, Answers]:
    """Return the answers of each subset, as if all its windows were there and familiar.

    Args:
        judge: the bundle's.
        logits: float32 [2^n - 1, N, C], in the order of `subsets.subsets`.
        modalities: n of them, sorted.
    """
    by_set = dict(zip(subsets.subsets(modalities), logits, strict=True))
    answers = {}
    for subset, own in by_set.items():
        rows = [own, *(by_set[m,] for m in subset)] if len(subset) > 1 else [own]
        found = judge.judge(subset, np.stack(rows))
        answers[subset] = Answers(found.probabilities[0], found.least[0], found.doubts[0])
    return answers


def policy_answers(
    judge: Judge, plain: Mapping[Subset, Answers], usable: Mapping[str, NDArray[np.bool_]]
) -> dict[Subset, Answers]:
    """Return the answers of a session with the sensors of each subset, which leaves out what is not usable.

    Args:
        judge: the bundle's.
        plain: as `plain_answers` returns.
        usable: modality -> bool [N], whether the window of each example is there and familiar.
    """
    return {subset: _answers(judge, plain, usable, subset) for subset in plain}


def _answers(
    judge: Judge, plain: Mapping[Subset, Answers], usable: Mapping[str, NDArray[np.bool_]], subset: Subset
) -> Answers:
    nothing, there = judge.no_evidence, np.stack([usable[m] for m in subset])
    n = there.shape[1]
    probabilities = np.repeat(nothing.probabilities[np.newaxis], n, axis=0)
    least, doubts = np.zeros(n, np.float32), np.full(n, UNFAMILIAR, np.int8)
    for live in subsets.subsets(subset):
        rows = (there == np.array([m in live for m in subset])[:, np.newaxis]).all(axis=0)
        found = plain[live]
        probabilities[rows] = found.probabilities[rows]
        least[rows], doubts[rows] = found.least[rows], found.doubts[rows]
    return Answers(probabilities, least, doubts)
