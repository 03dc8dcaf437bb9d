"""The interface of objectives: a loss, how its gradient over micro-batches is computed, and backgrounds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.data.clips import Clips, joined
from sensemble_train.distributed import accumulating
from sensemble_train.models.encoders import ByModality
from sensemble_train.models.model import Model

_SHARE = 0.25  # backgrounds beside a batch, relative to its examples
_SHARPNESS = 10.0  # of the score: unit-length embeddings differ by little, and weights change slowly
Part = tuple[Clips, ...]  # a micro-batch of features from each source of examples


class Backgrounds(nn.Module):
    """A logistic loss of known windows against backgrounds, by a score that is linear in the embedding.

    It is an outlier exposure (Hendrycks et al., 2019) without labels: silence and noise stay apart from known
    windows. The score is dropped after training; the export fits its own.
    `clips` holds features of windows that show none of the classes.
    """

    def __init__(self, clips: Clips, modalities: tuple[str, ...], size: int, weight: float) -> None:
        super().__init__()
        self.clips, self.weight = clips, weight
        self.score = ByModality({m: nn.Linear(size, 1) for m in modalities})

    def join(self, batch: Clips) -> Clips:
        """Return a batch followed by backgrounds, drawn from torch's global generator."""
        count = max(2, round(_SHARE * len(batch)))
        device = next(iter(batch.inputs.values())).device
        drawn = self.clips.take(torch.randint(len(self.clips), (count,))).to(device)
        return joined([batch, drawn])

    def forward(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], known: int) -> Tensor:
        """Return the weighted loss, a scalar: the mean over modalities and both sides.

        The first `known` rows of `embeddings` [B, d] are known; only rows that are `present` [B] count.
        """
        losses = []
        for m, score in self.score.items():
            logits = _SHARPNESS * score(embeddings[m]).flatten()
            for rows, sign in ((slice(None, known), 1), (slice(known, None), -1)):
                counted = present[m][rows]
                loss = functional.softplus(-sign * logits[rows])
                losses.append(torch.where(counted, loss, 0.0).sum() / counted.sum().clamp(min=1))
        mean: Tensor = torch.stack(losses).mean()
        return self.weight * mean


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
