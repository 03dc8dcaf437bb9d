"""Encode less while nothing changes: a comparison that costs far less than an encoder.

It compares a window with the one last encoded, not with the last one seen, so a slow change adds up.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Media

from sensemble_runtime.executors.executor import Embedding


@dataclass(frozen=True, slots=True)
class Duty:
    """The least difference from the window last encoded that makes a window worth encoding.

    Attributes:
        audio: dB by which the power of at least one band must differ.
        video: mean difference of the pixels, as a fraction of full scale.
    """

    audio: float = 3.0
    video: float = 0.02


class ChangeGate:
    """The last encoded window of each modality, for one thread each; `saved` counts encodings saved."""

    def __init__(self, duty: Duty) -> None:
        self.saved: dict[str, int] = {}
        self._duty = duty
        self._kept: dict[str, tuple[NDArray[np.float32] | str, Embedding]] = {}

    def unchanged(self, modality: str, data: Media | str) -> Embedding | None:
        """Return the last embedding if it holds for the window `data`; None if that must be encoded."""
        if modality not in self._kept:
            return None
        before, embedding = self._kept[modality]
        kind = kind_of(modality)
        # A modality without a threshold must not change at all.
        same = kind.change(before, kind.summary(data)) <= getattr(self._duty, modality, 0.0)
        self.saved[modality] = self.saved.get(modality, 0) + same
        return embedding if same else None

    def keep(self, modality: str, data: Media | str, embedding: Embedding) -> None:
        """Remember a window that was encoded."""
        self._kept[modality] = (kind_of(modality).summary(data), embedding)
