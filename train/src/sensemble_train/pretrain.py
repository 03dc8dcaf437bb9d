"""Pretraining on unlabelled examples: one encoder per modality into a shared space (paper, Sec. 4.1)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sensemble_train.contrastive import PairwiseInfoNCE
from sensemble_train.data import Clips
from sensemble_train.methods import endless
from sensemble_train.model import Model
from sensemble_train.schedule import one_cycle

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """How the encoders are pretrained (Table 7, "Pretraining").

    Attributes:
        steps: optimizer steps.
        batch: examples a step; each is contrasted with all others of its batch.
        learning_rate: the peak of AdamW's.
        weight_decay: AdamW's.
    """

    steps: int = 240
    batch: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 0.05


def pretrain(
    model: Model, unlabelled: Clips, config: PretrainConfig, generator: torch.Generator, progress: Progress
) -> list[float]:
    """Train `model`'s encoders in place by InfoNCE over all pairs of modalities.

    Args:
        model: left in evaluation mode.
        unlabelled: features of the pretraining examples.
        config: the optimizer's settings.
        generator: draws the batches.
        progress: called with (steps done, steps in all).

    Returns:
        The loss of every step.
    """
    loss_of = PairwiseInfoNCE()
    model.train()
    parameters = [*model.encoders.parameters(), *loss_of.parameters()]
    optimizer = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay)
    schedule = one_cycle(optimizer, config.steps)
    losses = []
    batches = endless(unlabelled, config.batch, generator)
    for step in range(config.steps):
        batch = next(batches)
        loss = loss_of(_embed_present(model, batch), batch.present)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        progress(step + 1, config.steps)
    model.eval()
    return losses


def _embed_present(model: Model, batch: Clips) -> dict[str, Tensor]:
    """Encode the rows that are there, so that BatchNorm sees no zeros of absent ones; those stay zero."""
    embeddings = {}
    for m, rows in batch.present.items():
        if int(rows.sum()) >= 2:
            found = model.encoders[m].encode(batch.inputs[m][rows])  # type: ignore[operator]
            embeddings[m] = found.new_zeros(len(rows), found.shape[1]).index_put((rows,), found)
    return embeddings
