"""Rivals of subset distillation without a teacher: labels on all sets of sensors, and modality dropout."""

from collections.abc import Sequence

import torch
from sensemble_runtime.subsets import subsets
from torch import Tensor

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model, copied
from sensemble_train.objectives.subset_distillation import pooled_logits
from sensemble_train.objectives.task import LabelledTask, task_loss
from sensemble_train.recipe.methods import Start


class LabelledSubsets(LabelledTask):
    """The task's mean loss over all subsets of M_T.

    With `drawn`, each example has one random subset (modality dropout; Neverova et al., 2015).
    """

    def __init__(self, model: Model, train: Sequence[str], *, drawn: bool = False) -> None:
        super().__init__(model, train)
        self.sets, self.drawn = subsets(train), drawn

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss of a micro-batch of labelled examples, a scalar."""
        (labelled,) = batches
        targets, task = labelled.targets, self.model.description.task
        assert targets is not None  # noqa: S101 - labelled, by its name
        logits = pooled_logits(self.model, self.model.embed(labelled.inputs), self.sets)
        if self.drawn:
            rows = torch.arange(len(labelled), device=logits.device)
            return task_loss(logits[torch.randint(len(self.sets), rows.shape).to(rows), rows], targets, task)
        return torch.stack([task_loss(each, targets, task) for each in logits]).mean()


def labelled_subsets(start: Start, *, drawn: bool = False) -> Model:
    """Train the whole model on the labels of all subsets of M_T, or of drawn ones (modality dropout)."""
    return start.fit(LabelledSubsets(copied(start.probed), start.train, drawn=drawn))
