"""Encode less when nothing changes: a detector that costs far less than an encoder.

It compares a window with the one that was last encoded, not with the last one seen, so that a slow change
adds up until it counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.sensor import Media

from sensemble_runtime.executors.executor import Embedding

GRID = 8  # pixels a side of each frame that are compared
BANDS = 16  # of the sound's spectrum, equally wide in octaves
QUIET = -60.0  # dB below full scale, under which all sound is the same silence


@dataclass(frozen=True, slots=True)
class Duty:
    """How much a window must differ from the one last encoded to be encoded.

    Attributes:
        audio: dB, the greatest difference of a band's power.
        video: the mean difference of pixels, as a fraction of full scale.
    """

    audio: float = 3.0
    video: float = 0.02


class Detector:
    """Remembers each modality's last encoded window and its embedding.

    For one thread of each modality at a time: no two modalities share anything.

    Attributes:
        saved: by modality, how many encodings it made unnecessary.
    """

    def __init__(self, duty: Duty) -> None:
        self.saved: dict[str, int] = {}
        self._duty = duty
        self._kept: dict[str, tuple[NDArray[np.float32] | str, Embedding]] = {}

    def unchanged(self, modality: str, data: Media | str) -> Embedding | None:
        """Return the embedding that still stands for `data`, or None if it must be encoded.

        Args:
            modality: `audio`, `text` or `video`.
            data: a window of it, or a caption: one stands for itself only.
        """
        if modality not in self._kept:
            return None
        before, embedding = self._kept[modality]
        after = sketch(modality, data)
        if isinstance(before, str) or isinstance(after, str):
            same = before == after
        else:
            distance = np.abs(after - before)
            change = distance.max() if modality == "audio" else distance.mean()
            same = bool(change <= getattr(self._duty, modality))
        self.saved[modality] = self.saved.get(modality, 0) + same
        return embedding if same else None

    def keep(self, modality: str, data: Media | str, embedding: Embedding) -> None:
        """Remember a window that was encoded."""
        self._kept[modality] = (sketch(modality, data), embedding)


def sketch(modality: str, data: Media | str) -> NDArray[np.float32] | str:
    """Return what of a window is compared.

    Returns:
        audio: the power of each band in dB of full scale, float32 [BANDS]; video: float32 [T, h, w, 3] in
        [0, 1], some of the pixels of each frame; text: the caption.
    """
    if isinstance(data, str):
        return data
    if modality == "video":
        _, _, height, width, _ = data.shape
        some = data[0, :, :: max(1, height // GRID), :: max(1, width // GRID)]
        return np.asarray(some, np.float32) / np.float32(255)
    power = np.abs(np.fft.rfft(np.asarray(data[0], np.float32))) ** 2 * (2 / data.shape[1] ** 2)
    edges = np.unique(np.geomspace(1, len(power), BANDS + 1).astype(int))
    bands = np.add.reduceat(power, edges[:-1])
    return np.asarray(10 * np.log10(bands + 10 ** (QUIET / 10)), np.float32)
