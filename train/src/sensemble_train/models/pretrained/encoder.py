"""A frozen pretrained encoder and the adapter that learns."""

from typing import Self

import torch
from sensemble_sensors.spec import InputSpec
from torch import Tensor, nn

from sensemble_train.models.encoders import Encoder, EncoderConfig, unit
from sensemble_train.models.pretrained.sources import load


class Pretrained(Encoder):
    """A kind's raw window [B, ...] -> float32 [B, d] of unit length.

    The frozen encoder is the front end: its features are float32 [B, V, F] of V views of a window, of which
    the first is the window as it is, and training draws one (`training.augment`). The weights of the frozen
    encoder are in no saved model: its source has them.
    """

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        self.spec = spec
        self.frozen = load(config.source, spec)
        size = self.frozen(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))).shape[1]
        inside = 2 * config.embedding
        self.adapter = nn.Sequential(
            nn.Linear(size, inside),
            nn.BatchNorm1d(inside, affine=False),
            nn.GELU(),
            nn.Linear(inside, config.embedding),
            nn.BatchNorm1d(config.embedding, affine=False),
        )

    def train(self, mode: bool = True) -> Self:
        """Leave the frozen encoder in evaluation mode."""
        super().train(mode)
        self.frozen.eval()
        return self

    def front(self, raw: Tensor) -> Tensor:
        """Return the frozen encoder's features of one view, [B, 1, F]."""
        return self.frozen.to(raw.device)(raw)[:, None]  # type: ignore[no-any-return]

    def encode(self, features: Tensor) -> Tensor:
        """Adapt the first view."""
        return unit(self.adapter(features[:, 0]))

    def forward(self, raw: Tensor) -> Tensor:
        """Map the sensor's tensor to embeddings."""
        return unit(self.adapter(self.frozen(raw)))
