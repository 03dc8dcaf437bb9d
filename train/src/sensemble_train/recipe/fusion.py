"""Late fusion: specialists, one a modality, whose calibrated logits are added."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sensemble_train.data.clips import Source
from sensemble_train.models.model import Head, Model
from sensemble_train.objectives.task import task_loss
from sensemble_train.recipe.evaluate import embed
from sensemble_train.training.loop import Loop

_TEMPERATURES = torch.logspace(-1, 2, 200)


class Logits(nn.Module):
    """An encoder whose embedding is what specialists say of a modality: float32 [B, C], logits.

    Args:
        readers: the modality's specialist, or those of other modalities where it has no labels.
        modality: the modality.

    Attributes:
        temperature: divides the logits.
    """

    def __init__(self, readers: Sequence[Model], modality: str) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(reader.encoders[modality] for reader in readers)
        self.heads = nn.ModuleList(reader.head for reader in readers)
        self.temperature = 1.0

    def front(self, raw: Tensor) -> Tensor:
        """Return the encoder's features of raw windows."""
        return self.encoders[0].front(raw)  # type: ignore[operator, no-any-return]

    def encode(self, features: Tensor) -> Tensor:
        """Return the mean logits [B, C] over the temperature."""
        logits = [head(e.encode(features)) for e, head in zip(self.encoders, self.heads, strict=True)]  # type: ignore[operator]
        return torch.stack(logits).mean(dim=0) / self.temperature


@torch.no_grad()
def fuse(specialists: Mapping[str, Model], selection: Source, loop: Loop) -> Model:
    """Return the late fusion of specialists as a model: its embeddings are logits, its head adds them.

    The sum of logits is that of log-probabilities, up to a number that all classes share. A modality without
    a specialist is read by the heads of all of them, as its embeddings lie in the same space.

    Args:
        specialists: modality of M_T -> the model that was trained on it alone.
        selection: labelled examples that nothing was trained on (`calibrate`), by which the temperature of
            each modality is fitted; it stays 1 where none has the modality.
        loop: scale and ranks.
    """
    fused = copy.deepcopy(next(iter(specialists.values())))
    fused.encoders = nn.ModuleDict(
        {
            m: Logits([specialists[m]] if m in specialists else list(specialists.values()), m)
            for m in fused.modalities
        }
    )
    described = fused.description
    fused.head = Head(len(described.labels), len(described.labels))
    # The head reads a mean: times n, that of all n modalities is their sum.
    fused.head.linear.weight.copy_(len(fused.modalities) * torch.eye(len(described.labels)))
    fused.head.linear.bias.zero_()
    embedded = embed({"": fused.eval()}, selection, loop)[""]
    for m, encoder in fused.encoders.items():
        known = embedded.having((m,))
        if len(known) and known.targets is not None:
            losses = [task_loss(known.inputs[m] / t, known.targets, described.task) for t in _TEMPERATURES]
            encoder.temperature = float(_TEMPERATURES[int(torch.stack(losses).argmin())])  # type: ignore[assignment]
    return fused
