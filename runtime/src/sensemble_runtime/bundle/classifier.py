"""The classifier: what a window of one modality says about the classes, and whether it is familiar."""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.head import Head, calibrated, doubted
from sensemble_runtime.bundle.manifest import Calibration, Task

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The evidence of windows of one modality.

    Attributes:
        classes: calibrated probabilities floating [..., C], if the windows show one of the classes.
        known: the log-odds [...] that they do, by familiarity; None where nothing tells.
        limit: the log-odds from which a window is familiar.
        familiar: whether the windows [...] are; an unfamiliar one has no opinion. None: all are.
        far: whether the windows [...] are as of a covered or broken sensor; None: none is.
        device: the sensor's device, which breaks as a whole; none: it breaks by itself.
        prior: the probabilities [C] before any sensor, which `classes` hold; None: all are alike.
    """

    classes: NDArray[np.floating]
    known: NDArray[np.floating] | None = None
    limit: float = 0.0
    familiar: NDArray[np.bool_] | None = None
    far: NDArray[np.bool_] | None = None
    device: str | None = None
    prior: Floats | None = None

    def opinions(self, task: Task) -> NDArray[np.floating]:
        """Return the probabilities [..., C] by these windows alone: `doubted` by the log-odds."""
        return self.classes if self.known is None else doubted(self.classes, self.known, task)

    def usable(self, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of the windows that are present, bool [...], have an opinion."""
        return present if self.familiar is None else present & self.familiar

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Evidence":
        """Return what some of N windows say."""
        known = None if self.known is None else self.known[rows]
        familiar = None if self.familiar is None else self.familiar[rows]
        far = None if self.far is None else self.far[rows]
        return replace(self, classes=self.classes[rows], known=known, familiar=familiar, far=far)


class Classifier:
    """The head of a bundle with its calibration; safe to use from several threads.

    Attributes:
        labels: the C classes.
        task: whether they exclude each other.
        threshold: the confidence from which an answer is sure.
        redundancy: how far sensors repeat each other, in [0, 1].
        devices: by modality, the device of its sensor, if any.
        prior: as in `Evidence`.
        timeline: the numbers of the timeline; None if nothing was fitted.
    """

    def __init__(
        self,
        head: Head,
        calibration: Calibration,
        labels: tuple[str, ...],
        modalities: Iterable[str],
        devices: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        self.labels, self.task, self.threshold = labels, head.task, calibration.threshold
        self.redundancy, self.timeline = calibration.redundancy, calibration.timeline
        self.prior = np.array(calibration.prior, np.float32) if calibration.prior is not None else None
        self._head, self._calibration = head, calibration
        self._rows = {modality: row for row, modality in enumerate(sorted(modalities))}
        self.devices = {modality: devices.get(modality) for modality in self._rows}

    def evidence(self, modality: str, embeddings: Floats, *, corrected: bool = False) -> Evidence:
        """Return what windows say, by embeddings float32 [..., d].

        `corrected` embeddings have no log-odds: familiarity is fitted to no such.
        """
        classes = self.calibrated(modality, self._head.logits(embeddings))
        known = None if corrected else self._scores(modality, embeddings)
        limit = self._calibration.familiar.get(modality, 0.0)
        familiar = None if known is None else np.asarray(known >= limit)
        far = None if known is None else self.are_far(modality, embeddings)
        return Evidence(classes, known, limit, familiar, far, self.devices[modality], self.prior)

    def calibrated(self, modality: str, logits: Floats) -> Floats:
        """Return the calibrated probabilities float32 [..., C] of the head's logits [..., C]."""
        found = self._calibration.modalities.get(modality)
        temperature, power = (found.temperature, found.power) if found else (1.0, 0.0)
        return calibrated(logits, temperature, power, self.task)

    def are_familiar(self, modality: str, embeddings: Floats) -> NDArray[np.bool_]:
        """Return whether windows are like those that the encoder was trained on, by embeddings [..., d]."""
        scores = self._scores(modality, embeddings)
        if scores is None:
            return np.ones(embeddings.shape[:-1], bool)
        return np.asarray(scores >= self._calibration.familiar[modality])

    def are_far(self, modality: str, embeddings: Floats) -> NDArray[np.bool_]:
        """Return whether windows are as of a covered or broken sensor, by embeddings [..., d]."""
        scores, limit = self._head.familiarity, self._calibration.familiar.get(modality)
        if scores is None or limit is None:
            return np.zeros(embeddings.shape[:-1], bool)
        return scores.are_far(self._rows[modality], embeddings, limit)

    def _scores(self, modality: str, embeddings: Floats) -> Floats | None:
        if self._head.familiarity is None or modality not in self._calibration.familiar:
            return None
        return self._head.familiarity.scores(self._rows[modality], embeddings)

    def sure_from(self, threshold: float) -> "Classifier":
        """Return the same with another confidence from which an answer is sure."""
        other = copy(self)
        other.threshold = threshold
        return other

    def without(self, label: int) -> "Classifier":
        """Return the classifier that never learned a class, as far as head and familiarity go."""
        head, scores = self._head, self._head.familiarity
        if scores is not None and scores.means is not None:
            scores = replace(scores, means=np.delete(scores.means, label, axis=1))
        weight, bias = np.delete(head.weight, label, axis=0), np.delete(head.bias, label)
        labels = self.labels[:label] + self.labels[label + 1 :]
        prior = self._calibration.prior
        calibration = replace(self._calibration, prior=prior and prior[:label] + prior[label + 1 :])
        return Classifier(
            Head(weight, bias, head.task, scores), calibration, labels, self._rows, self.devices
        )
