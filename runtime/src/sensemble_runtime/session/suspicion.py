"""The sensor that lies: which modality contradicts the others, from scene to scene.

Of two opinions that exclude each other, either may be wrong. A sensor that shows another scene goes on doing
so, and the others go on agreeing. So a hidden Markov model carries the probability of each explanation (none
lies, this one does, several do) from scene to scene. The evidence for an explanation is how much more
probable the windows of its honest sensors are together than if they were of unrelated scenes: the mean over
the C classes of prod_m C p_m(c), with the calibrated opinion p_m of each alone, if windows are independent
given the class and classes equally frequent.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.session.debounce import DEBOUNCE

Floats = NDArray[np.floating]

RARE = 0.02  # the probability that a sensor lies before any evidence, and that a scene changes which one lies
SCENE = DEBOUNCE  # seconds that a scene lasts at least; windows of one scene count once: they err together
_LEAST = 1e-2  # of an opinion, relative to no evidence: no calibration is good to more digits
_LIKELY = 0.5  # the probability from which a sensor is suspected; at most one can have it


class Suspicion:
    """Finds which of three or more modalities lies. Times are given."""

    def __init__(self, modalities: Iterable[str]) -> None:
        self._modalities = sorted(modalities)
        others = len(self._modalities) + 1  # this one lies, or several do
        self._prior = np.array([1 - others * RARE, *[RARE] * others])
        self._chances = self._prior  # of each explanation, when the scene began
        self._evidence = np.ones_like(self._prior)  # of the window of the scene in which most agreed
        self._likeliest: list[int] = []  # what the others say, without each modality
        self._began = -math.inf

    def note(self, opinions: Mapping[str, Floats], now: float) -> str | None:
        """Return the suspect of one moment by each modality's own calibrated probabilities [C]."""
        if not opinions:
            return None
        classes = len(next(iter(opinions.values())))
        logs = np.zeros((len(self._modalities), classes))  # zeros for absent modalities: no evidence
        rows = [self._modalities.index(modality) for modality in opinions]
        logs[rows] = np.log(np.maximum(np.stack(list(opinions.values())) * classes, _LEAST))
        everybody = logs.sum(axis=0)
        rests = everybody - logs
        evidence = np.array([*np.exp([everybody, *rests]).mean(axis=1), 1.0])
        likeliest = rests.argmax(axis=1).tolist()  # the same as long as the scene goes on
        if likeliest != self._likeliest and now - self._began >= SCENE:
            self._chances = (1 - RARE) * _shares(self._chances * self._evidence) + RARE * self._prior
            self._evidence, self._likeliest, self._began = evidence, likeliest, now
        elif evidence[0] > self._evidence[0]:  # sensors that lag behind disagree for a while
            self._evidence = evidence
        lies = _shares(self._chances * evidence)[1:-1]
        row = int(lies.argmax())
        suspect = self._modalities[row]
        return suspect if lies[row] > _LIKELY and suspect in opinions else None

    def forget(self, modality: str) -> None:
        """Forget a modality whose sensor left."""
        row = 1 + self._modalities.index(modality)
        self._chances = self._chances.copy()
        excess = max(self._chances[row] - self._prior[row], 0.0)
        self._chances[[0, row]] += excess, -excess
        self._evidence = np.ones_like(self._prior)


def _shares(weights: Floats) -> Floats:
    return np.asarray(weights / weights.sum())
