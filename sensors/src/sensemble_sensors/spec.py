"""The input of one encoder, as training, bundles and sensors describe it."""

from dataclasses import dataclass
from typing import Literal

DType = Literal["uint8", "float32", "int64"]

MODALITIES = {"audio": "waveform", "text": "text", "video": "frames"}
"""The kind of each modality, sorted by the modality's name: the only place that knows both names."""

HIGHEST_RATE = 1_000_000
"""Samples or frames a second of any stream; far above what any sensor gives or any encoder needs."""


def kind_name(modality: str) -> str:
    """Return the kind of `modality`: `waveform`, `frames` or `text`; KeyError for an unknown one."""
    return MODALITIES[modality]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The tensor that one modality's encoder takes, and how often a session makes one.

    Attributes:
        modality: `audio`, `text` or `video` (an image is a video of one frame).
        dtype: `float32` for audio in [-1, 1], `uint8` for RGB video, `int64` for token ids.
        shape: audio [1, S]; video [1, T, H, W, 3]; text [1, L].
        rate: audio samples a second (Hz); video frames a second between the T frames; 0 for text.
        window: seconds that an encoder sees; 0 for text: a caption is its own window.
        hop: seconds between the starts of two encoded windows; 0 for text: on arrival.
        ttl: seconds for which an embedding stays in the live set, at least the hop.
    """

    modality: str
    dtype: DType
    shape: tuple[int, ...]
    rate: float
    window: float
    hop: float
    ttl: float

    @property
    def kind(self) -> str:
        """The kind of the modality; see `kind_name`."""
        return kind_name(self.modality)
