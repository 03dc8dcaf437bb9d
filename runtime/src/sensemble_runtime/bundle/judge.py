"""The judge: the one definition of the answer of a live set, from its embeddings.

The numbers of a subset are fitted on the split `calibrate` (`auditing.calibration`). Temperature and power
scale the logits, so that a confidence of 70 % is right about 70 % of the time; the most probable class stays
the same. The threshold says which classes are candidates, by split conformal prediction with one set of
scores for each live set.

An answer is sure where one class is a candidate, its confidence reaches the floor, at least one window is
familiar, and no two modalities exclude each other. A window is familiar if its embedding scores at least the
threshold of its modality; one that is not takes no part in the answer.

**The guarantee.** Let a person (a group: whatever must not be split) be drawn as those of `calibrate` were,
and an example of that person, and let the live set not depend on its content. Then the candidates hold the
truth (every true label) with a probability of at least 1 - alpha, for each live set by itself, over the draw
of `calibrate`, of the person and of the example. That is exact where all windows are familiar and nothing
else was chosen on `calibrate`; as shipped, a power and the limits of familiarity are, so it is approximate.
Where unfamiliar windows are left out, it is an average over all answers of a set of sensors. There is no
guarantee for one class, one person or one input, nor for other data: another room, another microphone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.head import Head, calibrated
from sensemble_runtime.bundle.manifest import Calibration, Manifest, SubsetCalibration
from sensemble_runtime.errors import BundleError
from sensemble_runtime.pooling import pool
from sensemble_runtime.prediction import Doubt, Opinion
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.float32]

DOUBTS: tuple[Doubt | None, ...] = (None, *get_args(Doubt))  # by code
SURE, UNFAMILIAR, _UNCALIBRATED, _SEVERAL, _CONTRADICTION, _WEAK = range(len(DOUBTS))

# Of a subset without examples: the head's own probabilities, and every class is a candidate.
UNCALIBRATED = SubsetCalibration(temperature=1.0, power=0.0, threshold=0.0, examples=0, groups=0)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers of one live set to N inputs, or of K sets."""

    probabilities: Floats  # [..., N, C], calibrated
    least: Floats  # [..., N], of a candidate
    doubts: NDArray[np.int8]  # [..., N], places in `DOUBTS`


class Judge:
    """Judges the answers of a bundle's live sets; safe to use from several threads.

    `floor` is the least confidence of a sure answer, in [0, 1], or else BundleError; None takes the
    manifest's.
    """

    def __init__(self, manifest: Manifest, head: Head, floor: float | None = None) -> None:
        self.floor = manifest.calibration.floor if floor is None else floor
        if not 0 <= self.floor <= 1:
            raise BundleError(f"a floor of {floor}: give a least confidence from 0 to 1")
        self._calibration = manifest.calibration
        self._labels = manifest.labels
        self._head = head
        self._rows = {modality: row for row, modality in enumerate(sorted(manifest.modalities))}
        uniform = np.full(len(manifest.labels), 1 / len(manifest.labels), np.float32)
        uniform.setflags(write=False)
        self.no_evidence = Opinion(uniform, 0.0, manifest.labels, "unfamiliar")  # all windows are unfamiliar

    def are_familiar(self, modality: str, embeddings: Floats) -> NDArray[np.bool_]:
        """Return whether windows are like those that the encoder was trained on, by embeddings [..., d]."""
        scores, least = self._head.familiarity, self._calibration.familiar.get(modality)
        if scores is None or least is None:
            return np.ones(embeddings.shape[:-1], bool)
        row = self._rows[modality]
        return np.asarray(embeddings @ scores.weight[row] + scores.bias[row] >= least)

    def answer(
        self,
        embeddings: Mapping[str, Floats],
        unfamiliar: Collection[str] = (),
    ) -> tuple[Opinion, dict[str, Opinion]]:
        """Return the answer of a live set, by embeddings float32 [d], and that of each modality alone."""
        live = tuple(sorted(embeddings))
        if set(live) <= set(unfamiliar):
            return self.no_evidence, dict.fromkeys(live, self.no_evidence)
        vectors = [embeddings[m] for m in live]
        logits = self._head.logits(np.stack([pool(embeddings), *vectors] if len(live) > 1 else vectors))
        judged = self.judge(live, logits[:, np.newaxis])
        whole, *alone = (
            Opinion(probabilities, float(least), self._labels, DOUBTS[doubt])
            for probabilities, least, doubt in zip(
                judged.probabilities[:, 0], judged.least[:, 0], judged.doubts[:, 0], strict=True
            )
        )
        return whole, dict(zip(live, alone or [whole], strict=True))

    def logits(self, pooled: Floats) -> Floats:
        """Return the head's logits [..., C] of pooled representations [..., d]."""
        return self._head.logits(pooled)

    def measured_as(self, live: Subset) -> Subset:
        """Return the subset whose numbers a live set takes: its own or, if not measured, the nearest."""
        if len(self._rows) <= subsets.WHOLE or subsets.name(live) in self._calibration.subsets:
            return live
        return subsets.nearest(live, map(subsets.parse, self._calibration.subsets)) or live

    def judge(self, live: Subset, logits: Floats) -> Answers:
        """Judge N inputs whose windows are familiar, of K rows of logits, float32 [K, N, C].

        The rows are of the live set, sorted, and, if it has several modalities, of each alone.
        """
        own = self.measured_as(live)
        found = [of_subset(self._calibration, s) for s in [own, *((m,) for m in live)][: len(logits)]]
        numbers = np.array([(one.temperature, one.power, one.threshold) for one in found], np.float32)
        temperatures, powers, thresholds = numbers.T[:, :, np.newaxis]
        task = self._head.task
        probabilities = calibrated(logits, temperatures[..., np.newaxis], powers[..., np.newaxis], task)
        probabilities.setflags(write=False)
        top = probabilities.max(axis=-1)
        least = thresholds * (top if task == "multi-class" else np.ones_like(top))
        candidates = probabilities >= least[..., np.newaxis]
        doubts = np.where(top < self.floor, _WEAK, SURE)
        if len(found) > 1 and task == "multi-class":
            doubts[0, _are_apart(candidates[1:])] = _CONTRADICTION
        doubts[np.count_nonzero(candidates, axis=-1) != 1] = _SEVERAL
        doubts = np.where(thresholds == 0, _UNCALIBRATED, doubts).astype(np.int8)
        return Answers(probabilities, least, doubts)


def of_subset(calibration: Calibration, subset: Sequence[str]) -> SubsetCalibration:
    """Return the calibration of a set of modalities."""
    return calibration.subsets.get(subsets.name(subset), UNCALIBRATED)


def _are_apart(candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether two of n modalities have no candidate in common, bool [N], of candidates [n, N, C]."""
    shared = np.einsum("inc,jnc->ijn", candidates, candidates, dtype=np.int32, casting="unsafe")
    return np.asarray((shared == 0).any(axis=(0, 1)))
