"""Imitation: small encoders learn to embed as larger ones do (Romero et al., 2015, "FitNets", Sec. 2.2).

A large pretrained encoder has heard more voices and seen more things than a user's examples hold. Its
embedding of an example says more than a class does, and needs no label.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.objectives.objective import Backgrounds, MeanLoss


class Imitation(MeanLoss):
    """One minus the cosine of an embedding to the teacher's of the same modality: the mean over modalities.

    The student's input may be augmented; the teacher's was not.

    Args:
        model: the student, trained in place, all but its head.
        backgrounds: examples that show nothing to learn about, encoded beside every batch; None for none.
    """

    def __init__(self, model: Model, backgrounds: Backgrounds | None = None) -> None:
        super().__init__(model, backgrounds)
        model.head.requires_grad_(requires_grad=False)

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss of a micro-batch, a scalar.

        Args:
            batches: examples, with the teacher's embeddings float32 [B, M, d] of the modalities as targets.
        """
        (batch,) = batches
        assert batch.targets is not None  # noqa: S101 - the teacher's
        embeddings, background_loss = self.embed(batch)
        losses = []
        for m, goal in zip(self.model.modalities, batch.targets.unbind(dim=1), strict=True):
            present, loss = batch.present[m], 1 - functional.cosine_similarity(embeddings[m], goal)
            losses.append(torch.where(present, loss, 0.0).sum() / present.sum().clamp(min=1))
        return torch.stack(losses).mean() + background_loss
