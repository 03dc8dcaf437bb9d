"""Predictions and opinions: the probabilities of the classes, and which of them come into question."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.subsets import SubsetScore


class Verdict:
    """A judgement of probabilities: the candidates, and the label if there is a single one."""

    __slots__ = ()

    probabilities: NDArray[np.float32]
    least: float
    labels: tuple[str, ...]

    @property
    def candidates(self) -> tuple[str, ...]:
        """The prediction set: the labels that come into question, the most probable first.

        At least 1 - alpha of such sets hold the truth, under the conditions that `bundle.calibration` states.
        Every label is a candidate where nothing is known about that; in a multi-label task there may be none.
        """
        chosen = np.flatnonzero(self.probabilities >= self.least)
        order = np.argsort(-self.probabilities[chosen], kind="stable")
        return tuple(self.labels[index] for index in chosen[order])

    @property
    def sure(self) -> bool:
        """True if there is a single candidate, and evidence for that: `least` is above 0."""
        return self.least > 0 and int(np.count_nonzero(self.probabilities >= self.least)) == 1

    @property
    def label(self) -> str | None:
        """The single candidate; None if unsure."""
        return self.best if self.sure else None

    @property
    def best(self) -> str:
        """The most probable label, sure or not."""
        return self.labels[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """The calibrated probability of `best`, in [0, 1]: about so often it is right."""
        return float(self.probabilities.max())


@dataclass(frozen=True, slots=True, eq=False)
class Opinion(Verdict):
    """The answer of one modality alone, calibrated as a live set of its own. Its array is read-only.

    Attributes:
        probabilities: float32 [C], in the order of the bundle's labels.
        least: the least probability of a candidate, in [0, 1]; 0 where every class is one.
        labels: the bundle's labels.
    """

    probabilities: NDArray[np.float32]
    least: float
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction(Verdict):
    """The probabilities of the classes, from the sensors live at one moment. Its arrays are read-only.

    Attributes:
        time: when it was made, in seconds on the clock of the samples.
        live: the live set, sorted.
        ages: for each live modality, seconds from the end of its window to `time`; `time - min(ages)` is thus
            the last moment that the prediction knows of.
        probabilities: float32 [C], calibrated for this live set, in the order of the bundle's labels.
        pooled: the pooled representation (Eq. 7), float32 [d].
        latencies: for each modality encoded for it, seconds that encoding took, with tokenization.
        dropped: for each attached modality, how many windows were dropped for newer ones since it was added.
        skipped: for each attached modality, how many windows were so like the one last encoded that they got
            its embedding, since it was added; only with a `Duty`.
        lost: for each attached modality, how many samples were replaced by newer ones before they were read,
            since it was added.
        labels: the bundle's labels, in the order of `probabilities`.
        embeddings: for each live modality, its embedding, float32 [d]: `pooled` is their mean.
        least: the least probability of a candidate, in [0, 1]; 0 where every class is one.
        opinions: what each live modality says alone, and each that is unfamiliar.
        audited: how right the bundle was with this live set when it was exported, on the split eval; None
            where that was not measured.
        adapted: the modalities whose opinion is that of their sensor's own correction, sorted (`Adapt`).
        unfamiliar: the modalities whose windows have been unlike those that the encoder was trained on for a
            while, sorted. Unless `Policy.unfamiliar` is `pool`, they are not in the live set, or they are all
            of it, and the prediction is unsure.
        levels: how loud or bright the windows are, by modality: RMS in dB of full scale of waveforms,
            brightness from 0 to 1 of frames; none of captions.
    """

    time: float
    live: tuple[str, ...]
    ages: dict[str, float]
    probabilities: NDArray[np.float32]
    pooled: NDArray[np.float32]
    latencies: dict[str, float]
    dropped: dict[str, int]
    skipped: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    embeddings: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    least: float = 0.0
    opinions: dict[str, Opinion] = field(default_factory=dict)
    audited: SubsetScore | None = None
    unfamiliar: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    levels: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for array in (self.probabilities, self.pooled, *self.embeddings.values()):
            array.setflags(write=False)

    def copy(self) -> Self:
        """Return an equal prediction with dicts of its own; the arrays, being read-only, are shared."""
        return replace(
            self,
            ages=self.ages.copy(),
            latencies=self.latencies.copy(),
            dropped=self.dropped.copy(),
            skipped=self.skipped.copy(),
            lost=self.lost.copy(),
            embeddings=self.embeddings.copy(),
            opinions=self.opinions.copy(),
            levels=self.levels.copy(),
        )
