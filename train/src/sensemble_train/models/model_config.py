"""The sizes of a model."""

from dataclasses import dataclass
from typing import Annotated, Literal

from sensemble_sensors.strict_json import MORE, Count

from sensemble_train.errors import ConfigurationError
from sensemble_train.field_checks import Amount, Size, check, divisible


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The sizes of a model: by default those of `digits`; `experiments.models` has the paper's.

    Mel bins (128), the sample rate (16 kHz) and the means and deviations of sound and colours (Table 6) are
    constants of the front end, which is part of the exported graph (`frontend`).

    Attributes:
        name: `small`, or one of the paper's, with patches of 16.
        width: width of the transformers; with other heads in text, of those of the other modalities.
        depth: transformer blocks of each encoder.
        heads: attention heads of each block.
        text_heads: heads of the text encoder, each as wide as the others; CLIP has fewer in text (Table 5).
        embedding: size d of the embedding; in masked autoencoding, which has no projection, the width.
        shared: last blocks that all modalities share in masked autoencoding (App. D: one).
        drop_path: largest rate of stochastic depth (App. E: 0.1).
        frames: frames of a window (Table 6: 8), 1 for images; 0 to fit the data, in `small` only.
        side: pixels of a frame's height and width (Table 6: 224); 0 to fit the data, in `small` only.
        seconds: length of a window (Table 6: 8); 0 to fit the data, in `small` only.
        tokens: tokens of a caption (Table 6: 60).
        vocabulary: number of token ids (Table 6: 50262).
    """

    name: Literal["small", "vit_b16", "clip_b16", "mae_b16"] = "small"
    width: Size = 128
    depth: Size = 2
    heads: Size = 4
    text_heads: Size = 4
    embedding: Size = 128
    shared: Size = 1
    drop_path: Annotated[float, (0, 0.99)] = 0.0
    frames: Count = 0
    side: Count = 0
    seconds: Amount = 0.0
    tokens: Size = 16
    vocabulary: Annotated[int, (257, MORE)] = 512

    @property
    def fitted(self) -> bool:
        """Tell whether sizes that are 0 are taken from the data."""
        return self.name == "small"

    def __post_init__(self) -> None:
        check(self, "model.")
        if not self.fitted and not (self.frames and self.side and self.seconds >= 0.1):
            raise ConfigurationError(
                f"--model.frames, --model.side, --model.seconds: {self.name} needs its own; see Table 6"
            )
        divisible(self, "model.", "width", self.heads, 4)
        divisible(self, "model.", "side", 16)
