"""What a session says each time that it hears or sees something new."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The classes of what the live sensors gave. Its arrays are read-only.

    Attributes:
        time: when it was made, in seconds on the clock of the samples.
        live: the live set, sorted.
        ages: of each live modality, seconds from the end of its window to `time`; `time - min(ages)` is thus
            the last moment that the prediction knows of.
        probabilities: float32 [C], in the order of the bundle's labels.
        pooled: the pooled representation (Eq. 7), float32 [d].
        latencies: of each modality encoded for it, seconds that took, with tokenization.
        dropped: of each attached modality, how many windows were dropped for newer ones since it was added.
        skipped: of each attached modality, how many windows were like the one last encoded and were given its
            embedding since it was added; only with a duty.
        lost: of each attached modality, how many samples gave way to newer ones before they were read, since
            it was added.
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

    def __post_init__(self) -> None:
        for array in (self.probabilities, self.pooled):
            array.setflags(write=False)
