"""Fit the length of each modality's embedding, its weight in the mean (Eq. 7), by likelihood."""

from dataclasses import replace

import torch
from sensemble_runtime.auditing.calibration import LEAST
from sensemble_runtime.subsets import measured
from torch import Tensor

from sensemble_train.data.clips import LOG, ClipSource
from sensemble_train.models.model import Model, configured
from sensemble_train.objectives.task import task_loss
from sensemble_train.recipe.evaluate import embed
from sensemble_train.training.loop import Loop
from sensemble_train.training.optim import minimize

_PULL = 1e-3  # weight of the squared logarithms: it keeps them finite where all is right


def balanced(model: Model, selection: ClipSource, loop: Loop) -> Model:
    """Return `model` with embeddings of the `fitted` lengths."""
    configs, lengths = model.description.configs, fitted(model, selection, loop)
    if not lengths:
        return model
    return configured(model, {m: replace(configs[m], length=length) for m, length in lengths.items()})


def fitted(model: Model, selection: ClipSource, loop: Loop) -> dict[str, float]:
    """Return the embedding lengths that make the labels of `selection` most likely, by modality.

    `selection` (`calibrate`) was not trained on. The loss is the mean over the measured subsets, each with a
    temperature. With one length for all, a modality that knows little would pull the mean as far as a better
    one. Fewer than `LEAST` examples that have every modality give nothing.
    """
    clips = embed(selection, loop, model)[0].having(model.modalities)
    described, targets = model.description, clips.targets
    if targets is None or len(clips) < LEAST:
        LOG.info("modalities are not balanced: %d examples have all, %d are needed", len(clips), LEAST)
        return {}
    head, sets = model.head.folded(), measured(model.modalities)
    logits_of = torch.stack([clips.inputs[m] @ head.weight.T for m in model.modalities]).detach()
    members = torch.tensor([[m in subset for m in model.modalities] for subset in sets]).float()
    members /= members.sum(dim=1, keepdim=True)
    lengths = torch.zeros(len(model.modalities), requires_grad=True)  # logarithms, as is the next
    sharpness = torch.zeros(len(sets), requires_grad=True)

    def loss() -> Tensor:
        logits = torch.einsum("sm,mnc->snc", members * lengths.exp(), logits_of) + head.bias.detach()
        logits = (logits * sharpness.exp().view(-1, 1, 1)).flatten(0, 1)
        every = targets.repeat(len(sets), *[1] * (targets.dim() - 1))
        free = lengths.square().sum() + sharpness.square().sum()
        return task_loss(logits, every, described.task) + _PULL * free

    minimize(loss, [lengths, sharpness])
    if not lengths.isfinite().all():  # a step of the search was too long
        return {}
    return dict(zip(model.modalities, lengths.detach().exp().tolist(), strict=True))
