"""Predictions and opinions: the probabilities of the classes, and the answer that they allow."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.bundle.classifier import Evidence
from sensemble_runtime.scores import SubsetScore

_SHOWN = 3  # candidates that a printed prediction names
UNLIKE = "nothing it has learned"  # the doubt `unfamiliar` in words
MOST = 99  # per cent that are shown of an answer that is unsure, and of what began

Doubt = Literal["unfamiliar", "several", "disagreement"]
"""The reason why an answer is unsure (`engine.belief`).

`unfamiliar`: no live window is like those of training: the likeliest class is a guess, and without any it is
no evidence. `disagreement`: the confidence is too low, and live modalities have other most probable classes.
`several`: it is too low though they agree.
"""


class Answer:
    """The label and its confidence, or the candidates and why it is unsure (`engine.belief`)."""

    __slots__ = ()

    probabilities: NDArray[np.float32]
    threshold: float
    labels: tuple[str, ...]
    doubt: Doubt | None

    @property
    def candidates(self) -> tuple[str, ...]:
        """The fewest labels that together are as probable as a sure answer must be, likeliest first.

        One if the answer is sure; every label without evidence.
        """
        if self.best is None:
            return self.labels
        order = np.argsort(-self.probabilities, kind="stable")
        before = np.cumsum(self.probabilities[order], dtype=np.float64) - self.probabilities[order]
        return tuple(self.labels[index] for index in order[before < self.threshold])

    @property
    def sure(self) -> bool:
        """True if there is no doubt."""
        return self.doubt is None

    @property
    def label(self) -> str | None:
        """The most probable label; None if unsure."""
        return self.best if self.sure else None

    @property
    def best(self) -> str | None:
        """The most probable label, sure or not; None without evidence."""
        alike = self.probabilities.max() == self.probabilities.min()
        return None if self.doubt == "unfamiliar" and alike else self.labels[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """The calibrated probability of `best`: about so often it is right. Without evidence 1 / C."""
        return float(self.probabilities.max())

    @property
    def percent(self) -> int:
        """The displayed confidence in whole per cent: 99 at most if unsure."""
        return self._percent(self.confidence)

    def _percent(self, probability: float) -> int:
        return min(round(100 * probability), 100 if self.sure else MOST)


@dataclass(frozen=True, slots=True, eq=False)
class Opinion(Answer):
    """The answer of one modality alone, calibrated like a live set of one. Its array is read-only.

    Attributes:
        probabilities: float32 [C], in the order of the bundle's labels.
        threshold: the confidence from which an answer is sure; above 1, none is.
    """

    probabilities: NDArray[np.float32]
    threshold: float
    labels: tuple[str, ...]
    doubt: Doubt | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction(Answer):
    """The probabilities of the classes, from the sensors live at one moment. Its arrays are read-only.

    Attributes:
        time: of the prediction, in seconds on the clock of the samples.
        live: the live set, sorted.
        ages: of each live modality, seconds from the end of its window to `time`.
        probabilities: float32 [C], calibrated, in the order of the bundle's `labels`.
        pooled: the pooled representation (Eq. 7), float32 [d].
        latencies: seconds of tokenizing and encoding, of each modality encoded for it, live or not.
        dropped, skipped, lost: of each attached modality, since it was added: windows dropped for newer ones;
            windows so like the last encoded one that they got its embedding (`Policy.duty`); samples replaced
            by newer ones before they were read.
        embeddings: of each live modality, float32 [d], as corrected: `pooled` is their mean.
        threshold: the confidence from which an answer is sure; above 1, none is.
        doubt: why it is unsure; None if it is sure.
        evidence: of the same modalities as `opinions`, of one window each: `engine.answer.opinion` gives
            the answer of any set of them.
        opinions: the answer of each modality alone: of those in `live` and in `unfamiliar`, and of `suspect`.
        audited: how right the bundle was with this live set when it was exported, on the split eval.
        lies: by modality in `opinions`, and by `belief.whole` of a device, the probability that it shows
            another scene, learned from earlier scenes; empty if `Policy.unfamiliar` is `pool`.
        unfamiliar: the modalities whose newest window is unlike those of training, sorted. Unless
            `Policy.unfamiliar` is `pool`, they are not in the live set; where all are unfamiliar, they are
            the live set, and there is no evidence.
        suspect: the modality that contradicts the others, which agree, scene after scene (`Belief`), or all
            live ones of a device that does, joined by `+`. Unless `Policy.unfamiliar` is `pool`, it is in the
            live set only if alone; the answer hardly counts it.
        adapted: the modalities whose embedding was corrected, sorted (`Adapter`).
        levels: the loudness or brightness of the windows of the same modalities: RMS in dB of full scale for
            waveforms, brightness from 0 to 1 for frames; captions have none.
        bundle: the fingerprint of the bundle whose head answered.
        at: `time` by the wall clock, in seconds since 1970; None in virtual time.
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
    threshold: float = 1.0
    doubt: Doubt | None = "several"
    evidence: dict[str, Evidence] = field(default_factory=dict)
    opinions: dict[str, Opinion] = field(default_factory=dict)
    audited: SubsetScore | None = None
    lies: dict[str, float] = field(default_factory=dict)
    unfamiliar: tuple[str, ...] = ()
    suspect: str | None = None
    adapted: tuple[str, ...] = ()
    levels: dict[str, float] = field(default_factory=dict)
    bundle: str = ""
    at: float | None = None

    def __post_init__(self) -> None:
        for array in (self.probabilities, self.pooled, *self.embeddings.values()):
            array.setflags(write=False)

    def __str__(self) -> str:
        """Write it in a line: `audio+video: three 98 %`, or `audio: unsure, five 61 % or nine 30 %`."""
        shown = np.argsort(-self.probabilities, kind="stable")[: min(len(self.candidates), _SHOWN)]
        text = " or ".join(f"{self.labels[i]} {self._percent(float(self.probabilities[i]))} %" for i in shown)
        if self.doubt == "unfamiliar":
            text = UNLIKE if self.best is None else f"{UNLIKE}, most like {text}"
        return f"{'+'.join(self.live)}: {text if self.sure else f'unsure, {text}'}"

    __repr__ = __str__

    def copy(self) -> Self:
        """Return an equal prediction with new dicts; the read-only arrays are shared."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        own: Any = {name: value.copy() for name, value in values if isinstance(value, dict)}
        return replace(self, **own)
