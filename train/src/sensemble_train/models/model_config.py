"""The sizes of a model."""

from dataclasses import dataclass
from typing import Literal

from sensemble_train.field_checks import MORE, bounded, divisible


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The sizes of a model: by default those of `digits`; `experiments.architectures` has the paper's.

    Mel bins (128), the sample rate (16 kHz) and the means and deviations of sound and colours (Table 6) are
    constants of the front end, which is part of the exported graph (`frontend`).

    Attributes:
        name: `small`, or one of the paper's, with patches of 16 (`architectures`).
        width: width of the transformers; with other heads in text, of those of the other modalities.
        depth: transformer blocks of each encoder.
        heads: attention heads of each block.
        text_heads: heads of the text encoder, each as wide as the others; CLIP has fewer in text (Table 5).
        embedding: size d of the embedding; with MAE, which has no projection, equal to `width`.
        shared: number of last blocks that all modalities share, in a model for MAE (App. D: one).
        drop_path: largest rate of stochastic depth (App. E: 0.1).
        frames: frames of a window (Table 6: 8), 1 for images; 0 to fit the data, in `small` only.
        side: pixels of a frame's height and width (Table 6: 224); 0 to fit the data, in `small` only.
        seconds: length of a window (Table 6: 8); 0 to fit the data, in `small` only.
        tokens: tokens of a caption (Table 6: 60).
        vocabulary: number of token ids (Table 6: 50262).
    """

    name: Literal["small", "vit_b16", "clip_b16", "mae_b16"] = "small"
    width: int = 128
    depth: int = 2
    heads: int = 4
    text_heads: int = 4
    embedding: int = 128
    shared: int = 1
    drop_path: float = 0.0
    frames: int = 0
    side: int = 0
    seconds: float = 0.0
    tokens: int = 16
    vocabulary: int = 512

    @property
    def fitted(self) -> bool:
        """Tell whether sizes that are 0 are taken from the data."""
        return self.name == "small"

    def __post_init__(self) -> None:
        one = 1, MORE
        bounded(self, "model.", width=one, depth=one, heads=one, text_heads=one, embedding=one, tokens=one)
        bounded(self, "model.", shared=(1, self.depth), drop_path=(0, 0.99), vocabulary=(257, MORE))
        least = 0 if self.fitted else 1
        bounded(self, "model.", frames=(least, MORE), side=(16 * least, MORE), seconds=(0.1 * least, MORE))
        divisible(self, "model.", "width", self.heads, 4)
        divisible(self, "model.", "side", 16)
