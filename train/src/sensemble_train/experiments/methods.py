"""WiSE-FT (paper, Sec. 4.2.2), and rivals: all sets of sensors on labels alone, and modality dropout."""

import copy
from collections.abc import Sequence

import torch
from sensemble_runtime.subsets import subsets
from torch import Tensor

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.objectives.subset_distillation import subset_logits
from sensemble_train.objectives.task import Task, task_loss
from sensemble_train.recipe.methods import Start


class LabelledSubsets(Task):
    """The task's mean loss over all subsets of M_T: the first half of subset distillation.

    With `drawn`, each example has one random subset (modality dropout; Neverova et al., 2015).
    """

    def __init__(self, model: Model, train: Sequence[str], *, drawn: bool = False) -> None:
        super().__init__(model, train)
        self.sets, self.drawn = subsets(train), drawn

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss of a micro-batch of labelled examples, a scalar."""
        (labelled,) = batches
        targets = labelled.targets
        assert targets is not None  # noqa: S101 - labelled, by its name
        logits, task = subset_logits(self.model, labelled.inputs, self.sets), self.model.description.task
        if self.drawn:
            rows = torch.arange(len(labelled), device=logits.device)
            return task_loss(logits[torch.randint(len(self.sets), rows.shape).to(rows), rows], targets, task)
        targets = targets.repeat(len(self.sets), *[1] * (targets.dim() - 1))
        return task_loss(logits.flatten(0, 1), targets, task)


def labelled_subsets(start: Start, *, drawn: bool = False) -> Model:
    """Train the whole model on the labels of all subsets of M_T, or of drawn ones (modality dropout)."""
    return start.fit(LabelledSubsets(copy.deepcopy(start.probed), start.train, drawn=drawn))


@torch.no_grad()
def wiseft(trained: Model, probed: Model, alpha: float) -> Model:
    """Return alpha * trained + (1 - alpha) * probed, weight by weight (Eq. 9)."""
    merged = copy.deepcopy(probed)
    start = probed.state_dict()
    merged.load_state_dict(
        {
            name: alpha * value + (1 - alpha) * start[name] if value.is_floating_point() else value
            for name, value in trained.state_dict().items()
        }
    )
    return merged.eval()
