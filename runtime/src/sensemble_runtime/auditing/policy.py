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
Used = Mapping[Subset, NDArray[np.bool_]]  # by subset, [k, N]: whether each window takes part


class PlainAnswers(dict[Subset, Answers]):
    """The answers of each measured subset, as if all its windows were there and familiar.

    `logits` are float32 [S, N, C] in the order of `subsets.measured`, then of `more`. Other subsets, of more
    than `subsets.WHOLE` modalities, are answered on demand, from embeddings float32 [n, N, d].
    """

    def __init__(
        self,
        judge: Judge,
        logits: Floats,
        modalities: Sequence[str],
        embeddings: Floats | None = None,
        more: Sequence[Subset] = (),
    ) -> None:
        super().__init__()
        self._judge, self._modalities, self._embeddings = judge, tuple(modalities), embeddings
        self._logits = dict(zip([*subsets.measured(modalities), *more], logits, strict=True))
        self._more: dict[Subset, Answers] = {}
        for subset, own in self._logits.items():
            self[subset] = self._answers(subset, own)

    def __missing__(self, subset: Subset) -> Answers:
        if self._embeddings is None:
            raise KeyError(subset)
        if subset not in self._more:
            pooled = self._embeddings[[self._modalities.index(m) for m in subset]].mean(axis=0)
            self._more[subset] = self._answers(subset, self._judge.logits(pooled))
        return self._more[subset]

    def _answers(self, subset: Subset, own: Floats) -> Answers:
        rows = [own, *(self._logits[m,] for m in subset)] if len(subset) > 1 else [own]
        judged = self._judge.judge(subset, np.stack(rows))
        return Answers(judged.probabilities[0], judged.least[0], judged.doubts[0])


class Sessions:
    """Sessions with the sensors of each subset, which get the examples as one stream, a scene each."""

    def __init__(self, modalities: Iterable[str], task: Task, more: Sequence[Subset] = ()) -> None:
        # Of two sensors, none can be suspected.
        every = [*subsets.measured(modalities), *more]
        judged = [s for s in every if len(s) > 2 and task == "multi-class"]
        self._suspicions = {subset: Suspicion(subset) for subset in judged}
        self._scenes = 0

    def used(self, plain: Mapping[Subset, Answers], usable: Mapping[str, NDArray[np.bool_]]) -> Used:
        """Return which of the next N windows take part; `usable` [N], by modality: there and familiar."""
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
        sets, which = np.unique(there, axis=1, return_inverse=True)
        for number, members in enumerate(sets.T):
            live, rows = tuple(compress(subset, members)), which.reshape(-1) == number
            if not live:
                continue
            answers = plain[live]
            probabilities[rows] = answers.probabilities[rows]
            least[rows], doubts[rows] = answers.least[rows], answers.doubts[rows]
        given[subset] = Answers(probabilities, least, doubts)
    return given
