"""The task's loss on labelled examples, and MASD (paper, Eq. 2 and 8, Sec. 4.2)."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.objectives.objective import MeanLoss


def task_loss(logits: Tensor, targets: Tensor, task: str, present: Tensor | None = None) -> Tensor:
    """Return L of Eq. 2 of logits [B, C]: cross entropy, or binary cross entropy per class (`multi-label`).

    Targets are class indices int64 [B] or float32 [B, C] in [0, 1]. Only examples `present` [B] count, or
    all; without any, the loss is 0.
    """
    if task == "multi-class":
        losses = functional.cross_entropy(logits, targets, reduction="none")
    else:
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)
    if present is None:
        return losses.mean()
    return torch.where(present, losses, 0.0).sum() / present.sum().clamp(min=1)


class Downstream(MeanLoss):
    """An objective that trains encoders and head together, from a linear probe."""

    def train(self, mode: bool = True) -> Self:
        """Train, but keep BatchNorm's statistics: the stems' of pretraining, the head's of the probe."""
        super().train(mode)
        self.model.head.norm.eval()
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def task_loss(self, labelled: Clips) -> Tensor:
        """Return the task's loss on labelled features, a scalar."""
        assert labelled.targets is not None  # noqa: S101 - labelled, by its name
        return task_loss(self.model.classify(labelled.inputs), labelled.targets, self.model.description.task)


class LabelledTask(Downstream):
    """The task's loss on labelled examples; encoders of modalities outside M_T are frozen."""

    def __init__(self, model: Model, train: Sequence[str]) -> None:
        super().__init__(model)
        # Blocks that encoders share learn with the encoders that are trained.
        trained = {p for m in train for p in model.encoders[m].parameters()}
        for parameter in set(model.encoders.parameters()) - trained:
            parameter.requires_grad = False

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss of a micro-batch of labelled examples, a scalar."""
        (labelled,) = batches
        return self.task_loss(labelled)


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
