"""MASD: modalities with labels teach the others by self-distillation (paper, Sec. 4.2.1 and Eq. 8)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.objectives.task import Downstream


class Distillation(Downstream):
    """The loss of MASD (Eq. 8); `weight`, in [0, 1], is that of M_T teaching the other modalities."""

    def __init__(self, model: Model, train: Sequence[str], weight: float) -> None:
        super().__init__(model)
        self.weight = weight
        self.teacher = tuple(train)
        self.student = tuple(m for m in model.modalities if m not in train)

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss, a scalar, of labelled examples and of unlabelled ones that have every modality."""
        labelled, unlabelled = batches
        task = self.task_loss(labelled)
        with torch.no_grad():
            teacher = self.model.classify({m: unlabelled.inputs[m] for m in self.teacher})
        student = self.model.classify({m: unlabelled.inputs[m] for m in self.student})
        distilled = self_distillation_loss(student, teacher, self.model.description.task)
        return (1 - self.weight) * task + self.weight * distilled


def self_distillation_loss(student: Tensor, teacher: Tensor, task: str) -> Tensor:
    """Return L_self-dist (Sec. 4.2.1) of logits [B, C]: cross entropy under the teacher's."""
    teacher = teacher.detach()
    if task == "multi-class":
        return functional.cross_entropy(student, teacher.softmax(dim=-1))
    return functional.binary_cross_entropy_with_logits(student, teacher.sigmoid())
