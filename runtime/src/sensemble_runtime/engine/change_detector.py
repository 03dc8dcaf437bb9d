"""Skip the encoder while a window is like the one last encoded, so that a slow change adds up."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import InputSpec

from sensemble_runtime.executors.executor import Embedding


class ChangeDetector:
    """The last encoded window of each modality."""

    def __init__(self, specs: Mapping[str, InputSpec]) -> None:
        self._kinds = {modality: kind_of(spec) for modality, spec in specs.items()}
        self._kept: dict[str, tuple[NDArray[np.float32] | str, Embedding]] = {}

    def unchanged(self, modality: str, data: Media | str) -> Embedding | None:
        """Return the last embedding if it holds for the window `data`; None if that must be encoded."""
        if modality not in self._kept:
            return None
        before, embedding = self._kept[modality]
        kind = self._kinds[modality]
        return embedding if kind.change(before, kind.summary(data)) <= kind.least_change else None

    def keep(self, modality: str, data: Media | str, embedding: Embedding) -> None:
        """Remember a window that was encoded."""
        self._kept[modality] = (self._kinds[modality].summary(data), embedding)
