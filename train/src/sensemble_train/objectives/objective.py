"""The interface of objectives: a loss, and how its gradient over micro-batches is computed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sensemble_train.data.clips import Clips
from sensemble_train.distributed import accumulating
from sensemble_train.models.model import Model
from sensemble_train.objectives.backgrounds import encode_present

Part = tuple[Clips, ...]  # a micro-batch of features from each source of examples


class Objective(nn.Module, ABC):
    """A loss of `model`, whose trained parameters require gradients."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    @abstractmethod
    def forward(self, *batches: Clips) -> Any:  # noqa: ANN401 - only `backward` of the same class reads it
        """Return what `backward` needs of a micro-batch; every parameter takes part."""

    @abstractmethod
    def backward(self, call: nn.Module, parts: Sequence[Part], reseed: Callable[[int], None]) -> Tensor:
        """Add the gradient of the loss over `parts`, of equal size; return the loss, a scalar.

        `call` is this objective as shared among the ranks, called instead of `forward`. `reseed` sets the
        random state at the start of the part with that number.
        """

    def encode(self, modality: str, clips: Clips) -> Tensor:
        """Return a modality's embeddings [B, d]; absent rows are zero, and BatchNorm does not see them."""
        encode: Callable[[Tensor], Tensor] = self.model.encoders[modality].encode  # type: ignore[assignment]
        features = clips.inputs[modality]
        if modality in clips.complete:
            return encode(features)
        return encode_present(encode, features, clips.present[modality])

    def after_step(self) -> None:
        """Bring moved parameters back into their bounds."""


class MeanLoss(Objective):
    """An objective whose loss over a batch is the mean over its parts."""

    @abstractmethod
    def forward(self, *batches: Clips) -> Tensor:
        """Return the mean loss over a micro-batch, a scalar."""

    def backward(self, call: nn.Module, parts: Sequence[Part], reseed: Callable[[int], None]) -> Tensor:
        """See `Objective`."""
        losses = []
        for number, part in enumerate(parts):
            reseed(number)
            with accumulating(call, last=number == len(parts) - 1):
                loss = call(*part) / len(parts)
                loss.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum()
