"""Calibration: how much a bundle's probabilities are worth, by subset of modalities.

An export fits the numbers of a subset on the split `calibrate` (`auditing.calibration`); at run time they
are plain arithmetic. Temperature and power scale the logits, so that a confidence of 70 % is right about 70 %
of the time; the most probable class stays the same. The threshold says which classes are candidates, by split
conformal prediction with one group for each live set.

**The guarantee.** Let an example be drawn as those of `calibrate` were, and let the live set not depend on
its content. Then its candidates hold the truth (multi-label: every true label) with a probability of at least
1 - alpha, for each live set by itself, over the draw of `calibrate` and of the example. That is exact where
the power is 0, and nearly so where one was chosen on the same examples. It says nothing about one class or
one input, nor about data of another kind: another room, other voices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.head import Head, calibrated
from sensemble_runtime.bundle.manifest import Calibration, Manifest, SubsetCalibration, Task
from sensemble_runtime.prediction import Opinion
from sensemble_runtime.subsets import Subset, SubsetScore

Floats = NDArray[np.float32]

UNCALIBRATED = SubsetCalibration(temperature=1.0, power=0.0, threshold=0.0, examples=0)
"""Of a subset without examples: probabilities as the head gives them, and every class is a candidate."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The constants with which a live set is judged.

    Attributes:
        temperatures: float32 [1 + n, 1]: of the live set, and of n modalities alone; [1, 1] where there is
            one modality, whose opinion is the prediction.
        powers: of the same, float32.
        thresholds: of the same.
        audited: the score of the live set, if it was measured.
        labels: the classes.
    """

    temperatures: Floats
    powers: Floats
    thresholds: tuple[float, ...]
    audited: SubsetScore | None
    labels: tuple[str, ...]

    def judge(
        self,
        head: Head,
        pooled: Floats,
        embeddings: Sequence[Floats],
        adapted: Mapping[int, Floats] | None = None,
        live: int = 1,
    ) -> list[Opinion]:
        """Return the opinion of the live set, then that of each modality alone, if there are several.

        Args:
            head: the bundle's.
            pooled: the pooled representation, float32 [d].
            embeddings: those of the n modalities, float32 [d] each; first those of the live set.
            adapted: by place among them, logits float32 [C] that take the place of the head's own. The head
                is linear, so each that is live changes the logits of the pooled representation by its share.
            live: how many modalities are live.
        """
        rows = np.stack([pooled, *embeddings]) if len(embeddings) > 1 else pooled[np.newaxis]
        logits, count = head.logits(rows), len(embeddings)
        for place, own in (adapted or {}).items():
            row = place - count  # from the end: one modality alone has one row
            if count > 1 and place < live:
                logits[0] += (own - logits[row]) / live
            logits[row] = own
        probabilities = calibrated(logits, self.temperatures, self.powers, head.task)
        probabilities.setflags(write=False)
        return [
            Opinion(row, least_probability(row, threshold, head.task), self.labels)
            for row, threshold in zip(probabilities, self.thresholds, strict=True)
        ]


class Rules:
    """The rules of a bundle's live sets, each made when it is first asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._made: dict[tuple[Subset, Subset], Rule] = {}

    def of(self, live: Subset, aside: Subset = ()) -> Rule:
        """Return the rule of a live set, sorted, and of modalities that are not in it but have an opinion."""
        rule = self._made.get((live, aside))
        if rule is None:
            rule = self._made[live, aside] = self._make(live, aside)
        return rule

    def _make(self, live: Subset, aside: Subset) -> Rule:
        manifest, alone = self._manifest, (*live, *aside)
        sets = [live, *((m,) for m in alone)] if len(alone) > 1 else [live]
        found = [of_subset(manifest.calibration, subset) for subset in sets]
        temperatures = np.array([[entry.temperature] for entry in found], dtype=np.float32)
        powers = np.array([[entry.power] for entry in found], dtype=np.float32)
        thresholds = tuple(entry.threshold for entry in found)
        audited = manifest.audited.get(subsets.name(live))
        return Rule(temperatures, powers, thresholds, audited, manifest.labels)


def of_subset(calibration: Calibration, subset: Subset) -> SubsetCalibration:
    """Return the calibration of a set of modalities."""
    return calibration.subsets.get(subsets.name(subset), UNCALIBRATED)


def are_candidates(probabilities: NDArray[np.floating], threshold: float, task: Task) -> NDArray[np.bool_]:
    """Return whether each class of each prediction [N, C] is a candidate, bool [N, C]."""
    top = probabilities.max(axis=1, keepdims=True)
    return np.asarray(probabilities >= (threshold * top if task == "multi-class" else threshold))


def are_sure(probabilities: NDArray[np.floating], threshold: float, task: Task) -> NDArray[np.bool_]:
    """Return whether each of the predictions [N, C] has a single candidate, and evidence for it, bool [N]."""
    single = are_candidates(probabilities, threshold, task).sum(axis=1) == 1
    return np.asarray(single & (threshold > 0))


def calibrated_subsets(logits: Floats, manifest: Manifest) -> Floats:
    """Return calibrated probabilities float32 [2^n - 1, N, C] of logits in the order of `subsets.subsets`."""
    found = [of_subset(manifest.calibration, subset) for subset in subsets.subsets(manifest.modalities)]
    temperatures = np.array([[[entry.temperature]] for entry in found], dtype=np.float32)
    powers = np.array([[[entry.power]] for entry in found], dtype=np.float32)
    return calibrated(logits, temperatures, powers, manifest.task)


def least_probability(probabilities: NDArray[np.float32], threshold: float, task: Task) -> float:
    """Return the least probability of a candidate, in [0, 1], among probabilities [C]."""
    return threshold * float(probabilities.max()) if task == "multi-class" else threshold
