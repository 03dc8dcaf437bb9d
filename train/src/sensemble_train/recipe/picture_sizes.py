"""Choose the sizes at which an encoder of pictures reads, by likelihood."""

from dataclasses import replace

import torch
from sensemble_runtime.auditing.calibration import LEAST

from sensemble_train.data.clips import ClipSource
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
            model = min((model, _reading(model, m)), key=lambda one: _loss(one, m, pictures, loop))
    return model


def _reading(model: Model, modality: str) -> Model:
    described = model.description
    configs = {**described.configs, modality: replace(described.configs[modality], sizes=SIZES)}
    changed = Model(replace(described, configs=configs), model.tokenizer)
    changed.load_state_dict(model.state_dict())
    return changed.eval()


@torch.no_grad()
def _loss(model: Model, modality: str, pictures: ClipSource, loop: Loop) -> float:
    (clips,) = embed(pictures, loop, model)
    assert clips.targets is not None  # noqa: S101 - those of `pictures`
    answers = model.head.folded()(clips.inputs[modality])
    return float(task_loss(answers, clips.targets, model.description.task))
