"""Contrastive pretraining: InfoNCE over all pairs of modalities (paper, Sec. 4.1 and App. A)."""

import math
from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_SCALE = 100.0
"""Largest inverse temperature, as in CLIP (Radford et al., 2021, Sec. 2.5)."""


class PairwiseInfoNCE(nn.Module):
    """The mean of CLIP's symmetric loss over all n-choose-2 pairs, with a learned temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of a batch.

        Args:
            embeddings: modality -> unit-length embeddings float32 [B, d]; rows that are absent are ignored.
            present: modality -> bool [B], which examples have that modality.

        Returns:
            A scalar: the mean over the pairs that at least two examples share; 0 if there is none.
        """
        scale = self.log_scale.exp().clamp(max=MAX_SCALE)
        losses = []
        for a, b in combinations(sorted(embeddings), 2):
            both = present[a] & present[b]
            if int(both.sum()) >= 2:
                losses.append(info_nce(embeddings[a][both], embeddings[b][both], scale))
        return torch.stack(losses).mean() if losses else 0.0 * scale


def info_nce(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """Return CLIP's symmetric cross entropy between unit-length embeddings [B, d] whose rows are paired."""
    logits = scale * a @ b.T
    target = torch.arange(len(a), device=a.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
