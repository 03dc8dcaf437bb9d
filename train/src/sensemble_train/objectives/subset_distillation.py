"""Subset distillation: every subset of modalities learns, from labels and from a teacher that sees them all.

It goes beyond the paper, whose MASD (Eq. 8) teaches the modalities without labels as one set.
"""

from collections.abc import Sequence

import torch
from sensemble_runtime.subsets import Subset, subsets
from torch import Tensor

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.objectives.task import Downstream, task_loss


class SubsetDistillation(Downstream):
    """The mean loss of all subsets of M_T on labels, and of all subsets of M on a teacher's probabilities.

    With l the task's loss, f_S the model that reads the modalities S, and q(u) what the teacher says of an
    unlabelled example u:

        (1 - weight) * mean over S in M_T of l(f_S(x), y)  +  weight * mean over S in M of l(f_S(u), q(u))

    Each modality is encoded once; the subsets share its embedding.

    Args:
        model: trained in place, all of it.
        train: M_T, the modalities of the labelled examples.
        weight: weight of the teacher's part, in [0, 1].

    Attributes:
        labelled: the subsets that learn from labels.
        unlabelled: the subsets that learn from the teacher.
    """

    def __init__(self, model: Model, train: Sequence[str], weight: float) -> None:
        super().__init__(model)
        self.weight = weight
        self.labelled, self.unlabelled = subsets(train), subsets(model.modalities)

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss of two micro-batches, a scalar.

        Args:
            batches: labelled examples, and examples that have every modality, with the teacher's
                probabilities as their targets.
        """
        labelled, unlabelled = batches
        task = self._mean_loss(labelled, self.labelled)
        distilled = self._mean_loss(unlabelled, self.unlabelled)
        return (1 - self.weight) * task + self.weight * distilled

    def _mean_loss(self, clips: Clips, sets: Sequence[Subset]) -> Tensor:
        assert clips.targets is not None  # noqa: S101 - labelled by people or by the teacher
        logits = subset_logits(self.model, clips.inputs, sets)
        targets = clips.targets.repeat(len(sets), *[1] * (clips.targets.dim() - 1))
        return task_loss(logits.flatten(0, 1), targets, self.model.description.task)


def subset_logits(model: Model, features: dict[str, Tensor], sets: Sequence[Subset]) -> Tensor:
    """Return the logits [S, B, C] of every subset in `sets`, each modality encoded once (Eq. 7).

    Args:
        model: its encoders and its head.
        features: modality -> [B, ...], at least of those in `sets`.
        sets: the subsets to pool.
    """
    used = sorted({m for subset in sets for m in subset})
    embedded = torch.stack(list(model.embed({m: features[m] for m in used}).values()))
    members = embedded.new_tensor([[m in subset for m in used] for subset in sets])
    # Ones and zeros are exact in bfloat16, and thirds are not.
    pooled = torch.einsum("sm,mbd->sbd", members, embedded) / members.sum(dim=1).view(-1, 1, 1)
    logits = model.head(pooled.flatten(0, 1))
    return logits.view(len(sets), -1, logits.shape[1])  # type: ignore[no-any-return]
