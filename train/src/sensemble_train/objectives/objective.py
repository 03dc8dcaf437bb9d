"""The interface of objectives: a loss, and how its gradient over micro-batches is computed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sensemble_train.data.clips import Clips
from sensemble_train.distributed import accumulating
from sensemble_train.models.model import Model
from sensemble_train.objectives.backgrounds import Backgrounds

Part = tuple[Clips, ...]  # a micro-batch of features from each source of examples


class Objective(nn.Module, ABC):
    """A loss of `model`, whose trained parameters require gradients; `backgrounds` may be added to it."""

    def __init__(self, model: Model, backgrounds: Backgrounds | None = None) -> None:
        super().__init__()
        self.model, self.backgrounds = model, backgrounds

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
        features, present = clips.inputs[modality], clips.present[modality]
        if modality in clips.complete:
            return encode(features)
        if int(present.sum()) < 2:
            # Too few for BatchNorm, but every rank must use every encoder. The losses ignore absent rows.
            present = torch.ones_like(present)
        embeddings = encode(features[present])
        return embeddings.new_zeros(len(present), embeddings.shape[1]).index_put((present,), embeddings)

    def embed(self, batch: Clips) -> tuple[dict[str, Tensor], Tensor | float]:
        """Return embeddings by modality, and the loss of backgrounds encoded with them: 0 without any."""
        if self.backgrounds is None:
            return {m: self.encode(m, batch) for m in batch.inputs}, 0.0
        both = self.backgrounds.join(batch)
        embeddings = {m: self.encode(m, both) for m in both.inputs}
        loss: Tensor = self.backgrounds(embeddings, both.present, len(batch))
        return {m: x[: len(batch)] for m, x in embeddings.items()}, loss

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
