"""A pretrained encoder and the adapter that learns behind it; its last blocks may also learn."""

import copy
from typing import Self

import torch
from sensemble_sensors.spec import InputSpec
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.encoders import Encoder, EncoderConfig, scaled
from sensemble_train.models.pretrained.sources import load


class Pretrained(Encoder):
    """A kind's raw window [B, ...] -> float32 [B, d], of one length where there is an adapter.

    A frozen encoder is the front end: its features are float32 [B, V, F] of V views of a window, the
    unchanged one first, of which training draws one (`training.augment`). No saved model has its weights: its
    source does. An encoder that `learns` reads raw windows as its features.
    """

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        self.spec = spec
        self.pretrained = load(config.source, spec)
        self.learns = bool(config.unfrozen)
        if self.learns:
            self.pretrained = copy.deepcopy(self.pretrained)
            _unfreeze(self.pretrained, config)
        size = self.pretrained(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))).shape[1]
        self.adapter: nn.Module
        if config.place is not None:
            self.adapter = Placed(size, config.place, config.embedding, config.components)
        elif config.project:
            self.adapter = _adapter(size, config.embedding, config.length)
        elif size == config.embedding:
            self.adapter = nn.Identity()
        else:
            raise ConfigurationError(
                f"{config.source}: the encoder of {spec.modality} gives {size} numbers, and the head takes "
                f"{config.embedding}; let them agree"
            )

    def train(self, mode: bool = True) -> Self:
        """Leave the pretrained encoder in evaluation mode: few examples tell little of its statistics."""
        super().train(mode)
        self.pretrained.eval()
        return self

    def front(self, raw: Tensor) -> Tensor:
        """Return the frozen encoder's features of one view, [B, 1, F]; of one that learns, the window."""
        if self.learns:
            return raw
        return self.pretrained.to(raw.device)(raw)[:, None]  # type: ignore[no-any-return]

    def encode(self, features: Tensor) -> Tensor:
        """Make the embedding of the first view."""
        if self.learns:
            return self(features)  # type: ignore[no-any-return]
        return self.adapter(features[:, 0])  # type: ignore[no-any-return]

    def forward(self, raw: Tensor) -> Tensor:
        """Map the sensor's tensor to embeddings."""
        return self.adapter(self.pretrained(raw))  # type: ignore[no-any-return]


def _unfreeze(encoder: nn.Module, config: EncoderConfig) -> None:
    """Let the last blocks learn, and what the encoder defines after them, such as a norm."""
    named, first = list(encoder.named_parameters()), ""
    if config.unfrozen > 0:
        blocks = getattr(encoder, "blocks", ())
        if len(blocks) < config.unfrozen:
            raise ConfigurationError(
                f"--unfreeze {config.unfrozen}: {config.source} has {len(blocks)} blocks; "
                "give fewer, or `all`"
            )
        first = f"blocks.{len(blocks) - config.unfrozen}."
    start = next(place for place, (name, _) in enumerate(named) if name.startswith(first))
    for _, parameter in named[start:]:
        parameter.requires_grad_()


def _adapter(size: int, embedding: int, length: float) -> nn.Module:
    inside = 2 * embedding
    return nn.Sequential(
        nn.Linear(size, inside),
        nn.BatchNorm1d(inside, affine=False),
        nn.GELU(),
        nn.Linear(inside, embedding),
        nn.BatchNorm1d(embedding, affine=False),
        Scaled(length),
    )


class Scaled(nn.Module):
    """Scales rows [B, d] to a length."""

    def __init__(self, length: float) -> None:
        super().__init__()
        self.length = length

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, d] to [B, d]."""
        return scaled(x, self.length)


class Placed(nn.Module):
    """Puts features [B, F] at their own place of the embedding [B, d], followed by a 1; the rest is 0.

    They are scaled to unit length: where examples are few, the length says more of the recording than of the
    class. With `components`, a linear map reduces them to so many. A linear head on the mean of such
    embeddings has weights and a bias for each modality.
    """

    one: Tensor

    def __init__(self, size: int, place: int, embedding: int, components: int = 0) -> None:
        super().__init__()
        self.reduce = nn.Linear(size, components) if components else nn.Identity()
        size = components or size
        self.around = place, embedding - place - size
        one = torch.zeros(embedding)
        one[place + size] = 1
        self.register_buffer("one", one, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, F] to [B, d]."""
        return functional.pad(self.reduce(scaled(x, 1.0)), self.around) + self.one
