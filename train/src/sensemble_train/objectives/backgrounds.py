"""A loss on backgrounds, so that an embedding shows how familiar its window is."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.data.clips import Clips, joined
from sensemble_train.models.encoders import ByModality

_SHARE = 0.25  # backgrounds beside a batch, relative to its examples
_SHARPNESS = 10.0  # of the score: unit-length embeddings differ by little, and weights change slowly


class Backgrounds(nn.Module):
    """A logistic loss of known windows against backgrounds, by a score that is linear in the embedding.

    It is an outlier exposure (Hendrycks et al., 2019) without labels: silence and noise stay apart from known
    windows. The score is dropped after training; export fits its own (`sensemble_export.familiarity`).
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
