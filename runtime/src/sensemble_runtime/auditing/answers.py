"""The answers of every subset to labelled examples: to each example alone, and those of a session."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.classifier import Classifier, Evidence
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.answer import Answers, answer
from sensemble_runtime.engine.belief import RARE, SCENE, Belief, Truths, believe
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.floating]
EvidenceByModality = Mapping[str, Evidence]
"""By modality, the evidence of N examples (`Classifier.evidence`); any finite values if it is absent."""


def plain(
    evidence: EvidenceByModality, sets: Iterable[Subset], redundancy: float, task: Task
) -> dict[Subset, Floats]:
    """Return each subset's probabilities [N, C] by all its windows, familiar or not, before any scene."""
    return {
        subset: believe([evidence[m] for m in subset], np.full((len(subset), 1), RARE), redundancy, task)
        for subset in sets
    }


class SimulatedSessions:
    """Virtual sessions with the sensors of each subset; they get the examples as one stream, a scene each."""

    def __init__(self, sets: Sequence[Subset], classifier: Classifier) -> None:
        self._beliefs = {subset: Belief(subset, classifier.devices) for subset in sets}
        self._classifier = classifier
        self._scenes = 0

    def answers(self, evidence: EvidenceByModality, present: Mapping[str, Truths]) -> dict[Subset, Answers]:
        """Return the answers to the next N examples; `present` is [N], by modality."""
        known = self._classifier
        rule = known.redundancy, known.task, known.threshold
        given = {
            subset: answer(evidence, present, subset, *rule, self._lies(subset, belief, evidence, present))
            for subset, belief in self._beliefs.items()
        }
        self._scenes += len(next(iter(present.values())))
        return given

    def _lies(
        self, subset: Subset, belief: Belief, evidence: EvidenceByModality, present: Mapping[str, Truths]
    ) -> dict[str, Floats]:
        """Return the probabilities [N] of `Belief.lies` by the scenes before each example."""
        if len(subset) == 1 or self._classifier.task == "multi-label":
            return {}
        opinions = {m: evidence[m].opinions("multi-class") for m in subset}
        usable = np.stack([evidence[m].usable(present[m]) for m in subset])
        lies = np.empty((len(belief.lies), usable.shape[1]))
        for i, there in enumerate(usable.T):
            lies[:, i] = list(belief.lies.values())
            if there.any():
                shown = {m: opinions[m][i] for m in compress(subset, there)}
                belief.learn(shown, (self._scenes + i) * SCENE)
        return dict(zip(belief.lies, lies, strict=True))
