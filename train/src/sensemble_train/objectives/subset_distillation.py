"""Subset distillation: every subset of modalities learns from labels and from a teacher that sees them all.

It goes beyond the paper, whose MASD (Eq. 8) teaches the modalities without labels as one set.
"""

from collections.abc import Mapping, Sequence

import torch
from sensemble_runtime.subsets import Subset, measured
from torch import Tensor

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.objectives.objective import Backgrounds
from sensemble_train.objectives.task import Downstream, task_loss

SETS = 15  # subsets that a batch learns from at most: all of four modalities, some of more
ALONE = 3.0  # weight of a modality by itself, the hardest subset; any other has 1


class SubsetDistillation(Downstream):
    """The mean loss of all subsets of M_T on labels, and of all subsets of M on a teacher's probabilities.

    With l the task's loss, f_S the model that reads the modalities S, and q(u) the teacher's answer to an
    unlabelled example u, which may differ by subset:

        (1 - weight) * mean over S in M_T of l(f_S(x), y)  +  weight * mean over S in M of l(f_S(u), q(u))

    The means are weighted by `ALONE`. A subset learns from the examples that have all of it. Each modality is
    encoded once. The loss on backgrounds, if there are any, is added: without it, the encoders forget what
    pretraining taught them of backgrounds.
    """

    def __init__(
        self, model: Model, train: Sequence[str], weight: float, backgrounds: Backgrounds | None = None
    ) -> None:
        super().__init__(model, backgrounds)
        self.weight = weight
        self.labelled, self.unlabelled = measured(train), measured(model.modalities)

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss of labelled examples (any of M_T) and complete ones with a teacher's targets."""
        labelled, unlabelled = batches
        task = self._mean_loss(
            {m: self.encode(m, labelled) for m in labelled.inputs}, labelled, self.labelled
        )
        embedded, background_loss = self.embed(unlabelled)
        distilled = self._mean_loss(embedded, unlabelled, self.unlabelled)
        return (1 - self.weight) * task + self.weight * distilled + background_loss

    def _mean_loss(self, embedded: Mapping[str, Tensor], clips: Clips, sets: Sequence[Subset]) -> Tensor:
        assert clips.targets is not None  # noqa: S101 - labelled by people or by the teacher
        own = clips.targets.dim() == 3  # a distribution for each subset
        targets = clips.targets.unbind(dim=1) if own else [clips.targets] * len(sets)
        if len(sets) > SETS:  # of many, others are drawn for each batch
            drawn = torch.randperm(len(sets))[:SETS].sort().values.tolist()
            sets, targets = [sets[i] for i in drawn], [targets[i] for i in drawn]
        logits = pooled_logits(self.model, embedded, sets)
        task = self.model.description.task
        present = [torch.stack([clips.present[m] for m in subset]).all(dim=0) for subset in sets]
        losses = torch.stack(
            [task_loss(f, q, task, rows) for f, q, rows in zip(logits, targets, present, strict=True)]
        )
        weights = losses.new_tensor([ALONE if len(subset) == 1 else 1.0 for subset in sets])
        return (weights * losses).sum() / weights.sum()


def pooled_logits(model: Model, embedded: Mapping[str, Tensor], sets: Sequence[Subset]) -> Tensor:
    """Return the logits [S, B, C] of every subset in `sets` of embeddings, modality -> [B, d] (Eq. 7)."""
    used = sorted({m for subset in sets for m in subset})
    stacked = torch.stack([embedded[m] for m in used])
    members = stacked.new_tensor([[m in subset for m in used] for subset in sets])
    # Ones and zeros are exact in bfloat16, and thirds are not.
    pooled = torch.einsum("sm,mbd->sbd", members, stacked) / members.sum(dim=1).view(-1, 1, 1)
    logits = model.head(pooled.flatten(0, 1))
    return logits.view(len(sets), -1, logits.shape[1])  # type: ignore[no-any-return]
