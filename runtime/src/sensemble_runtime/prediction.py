"""A prediction from the sensors that are live at one moment."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The probabilities of the classes, from the sensors live at one moment. Its arrays are read-only.

    Attributes:
        time: when it was made, in seconds on the clock of the samples.
        live: the live set, sorted.
        ages: for each live modality, seconds from the end of its window to `time`; `time - min(ages)` is thus
            the last moment that the prediction knows of.
        probabilities: float32 [C], in the order of the bundle's labels.
        pooled: the pooled representation (Eq. 7), float32 [d].
        latencies: for each modality encoded for it, seconds that encoding took, with tokenization.
        dropped: for each attached modality, how many windows were dropped for newer ones since it was added.
        skipped: for each attached modality, how many windows were so like the one last encoded that they got
            its embedding, since it was added; only with a `Duty`.
        lost: for each attached modality, how many samples were replaced by newer ones before they were read,
            since it was added.
        labels: the bundle's labels, in the order of `probabilities`.
        embeddings: for each live modality, its embedding, float32 [d]: `pooled` is their mean.
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

    def __post_init__(self) -> None:
        for array in (self.probabilities, self.pooled, *self.embeddings.values()):
            array.setflags(write=False)

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.labels[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """The probability of `label`, in [0, 1]."""
        return float(self.probabilities.max())

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
        )
