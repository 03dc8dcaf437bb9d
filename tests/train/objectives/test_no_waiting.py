"""No objective asks the device for a number, which would stall a GPU at every step.

Under fake tensors, which have shapes and no numbers, whatever depends on a number raises.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from sensemble_train.data.clips import Clips
from sensemble_train.experiments.config import MAEConfig
from sensemble_train.experiments.mae import MAE
from sensemble_train.models.model import Model
from sensemble_train.objectives.contrastive import Contrastive
from sensemble_train.objectives.objective import Objective
from sensemble_train.objectives.subset_distillation import SubsetDistillation
from sensemble_train.objectives.task import Distillation, LabelledTask
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from tests.train.tiny import MASKED, raw_inputs, tiny_model


def batch(model: Model, *, lacking: bool = False) -> Clips:
    features = model.front(raw_inputs(4))
    present = {m: torch.ones(4, dtype=torch.bool) for m in features}
    present["audio"][1] = not lacking
    return Clips(features, present, torch.arange(4) % 3).to(torch.device("cpu"))


def masked(model: Model) -> MAE:
    shared = Model(replace(model.description, shared=1), model.tokenizer)
    return MAE(shared, MAEConfig(width=16, depth=1, heads=2))


def taught(clips: Clips) -> Clips:
    return replace(clips, targets=torch.full((4, 3), 1 / 3))


@pytest.mark.parametrize("lacking", [False, True], ids=["whole", "lacking"])
@pytest.mark.parametrize(
    ("make", "second"),
    [
        (Contrastive, None),
        (masked, None),
        (lambda model: LabelledTask(model, ("video",)), None),
        (lambda model: Distillation(model, ("video",), 0.5), lambda clips: clips),
        (lambda model: SubsetDistillation(model, ("text", "video"), 0.5), taught),
    ],
    ids=["contrastive", "mae", "task", "masd", "subset"],
)
def test_a_step_depends_on_no_number(
    make: Callable[[Model], Objective], second: Callable[[Clips], Clips] | None, lacking: bool
) -> None:
    model = tiny_model(MASKED)
    objective, clips = make(model).train(), batch(model, lacking=lacking)
    part = (clips,) if second is None else (clips, second(clips))
    with FakeTensorMode(allow_non_fake_inputs=True):
        if lacking and isinstance(
            objective, Contrastive | SubsetDistillation
        ):  # it must choose the rows that are there
            with pytest.raises(DataDependentOutputException):
                objective.backward(objective, [part], lambda _: None)
        else:
            assert objective.backward(objective, [part], lambda _: None).shape == ()
