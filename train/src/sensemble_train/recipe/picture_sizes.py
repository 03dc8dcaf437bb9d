"""Choose the sizes at which an encoder of pictures reads, by likelihood."""

from dataclasses import replace

import torch
from sensemble_runtime.auditing.calibration import LEAST

from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.models.model import Model
from sensemble_train.models.places import SIZES
from sensemble_train.objectives.task import task_loss
from sensemble_train.recipe.evaluate import embed
from sensemble_train.training.loop import Loop


def sized(model: Model, selection: ClipSource, loop: Loop) -> Model:
    """Return `model`, or one that reads pictures at `SIZES`: the one that makes the labels likelier.

    The labels are those of `selection` (`calibrate`), which was not trained on, by pictures alone. Things
    that come near and far are found at more sizes than were learned; where all are of one size, reading at
    others only errs. Fewer than `LEAST` pictures change nothing.
    """
    for m, config in model.description.configs.items():
        pictures = selection.having((m,))
        if config.sizes and pictures.targets is not None and len(pictures) >= LEAST:
            more = _reading(model, m)
            before, after = embed(pictures, loop, model, more)
            model = more if _loss(more, m, after) < _loss(model, m, before) else model
    return model


def _reading(model: Model, modality: str) -> Model:
    described = model.description
    configs = {**described.configs, modality: replace(described.configs[modality], sizes=SIZES)}
    changed = Model(replace(described, configs=configs), model.tokenizer)
    changed.load_state_dict(model.state_dict())
    return changed.eval()


@torch.no_grad()
def _loss(model: Model, modality: str, embedded: Clips) -> float:
    assert embedded.targets is not None  # noqa: S101 - those of the pictures
    answers = model.head.folded()(embedded.inputs[modality])
    return float(task_loss(answers, embedded.targets, model.description.task))
