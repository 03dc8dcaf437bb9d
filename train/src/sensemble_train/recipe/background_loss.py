"""The loss that keeps backgrounds apart, for a stage of training."""

import torch

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.objectives.backgrounds import Backgrounds
from sensemble_train.training.augment import augment
from sensemble_train.training.loop import Loop


def background_loss(model: Model, clips: Clips | None, weight: float, loop: Loop) -> Backgrounds | None:
    """Return the loss that keeps backgrounds apart from what `model` knows, or None without one.

    `clips` holds features, as `sources.backgrounds` returns them; they are augmented once.
    """
    if clips is None or not weight:
        return None
    torch.manual_seed(loop.seed)
    changed = augment(clips, model, loop.augment)
    return Backgrounds(changed, model.modalities, model.head.linear.in_features, weight)
