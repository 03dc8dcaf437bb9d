"""Choose the sizes at which an encoder of pictures reads, by likelihood."""

from dataclasses import replace

import torch
from sensemble_runtime.auditing.calibration import LEAST

from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.models.model import Model, configured
from sensemble_train.models.places import LEARNED, SIZES
from sensemble_train.objectives.task import task_loss
from sensemble_train.recipe.evaluate import embed
from sensemble_train.training.loop import Loop


def sized(model: Model, selection: ClipSource, loop: Loop) -> Model:
    """Return `model`, reading pictures at the sizes that make the labels likelier: those learned, or `SIZES`.

    The labels are those of `selection` (`calibrate`), which was not trained on, by pictures alone. Things
    that come near and far are found at more sizes than were learned; where all are of one size, reading at
    others only errs. Fewer than `LEAST` pictures change nothing.
    """
    for m, config in model.description.configs.items():
        pictures = selection.having((m,))
        if config.sizes and pictures.targets is not None and len(pictures) >= LEAST:
            few, many = (configured(model, {m: replace(config, sizes=sizes)}) for sizes in (LEARNED, SIZES))
            of_few, of_many = embed(pictures, loop, few, many)
            model = many if _loss(many, m, of_many) < _loss(few, m, of_few) else few
    return model


@torch.no_grad()
def _loss(model: Model, modality: str, embedded: Clips) -> float:
    assert embedded.targets is not None  # noqa: S101 - those of the pictures
    answers = model.head.folded()(embedded.inputs[modality])
    return float(task_loss(answers, embedded.targets, model.description.task))
