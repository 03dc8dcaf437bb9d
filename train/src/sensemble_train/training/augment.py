"""Random changes of a training batch (paper, Sec. 5 and App. E), drawn from torch's global generator."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from sensemble_train.data.clips import Clips
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.model import Model

_BETA = 10.0  # both parameters of the distribution of mixup's weights; the paper names none, AST has 10


def augment(batch: Clips, model: Model, config: AugmentConfig) -> Clips:
    """Return a batch of features, changed as `config` asks."""
    described, inputs = model.description, dict(batch.inputs)
    for m in sorted(inputs):  # the order in which they draw
        encoder, kind = described.configs[m], kind_of(described.specs[m])
        if encoder.unfrozen:
            inputs[m] = kind.change(inputs[m], config, model.tokenizer)
        elif encoder.source:
            inputs[m] = one_view(inputs[m])
        else:
            inputs[m] = kind.augment(inputs[m], config, encoder, model.tokenizer)
    changed = replace(batch, inputs=inputs)
    if not config.mixup or batch.targets is None:
        return changed
    return mixup(changed, config.mixup, len(described.labels))


def one_view(features: Tensor) -> Tensor:
    """Draw one of the views of each window: features of a frozen encoder [B, V, F] to [B, 1, F]."""
    views = torch.randint(features.shape[1], (len(features),), device=features.device)
    return features[torch.arange(len(features), device=features.device), views][:, None]


def mixup(batch: Clips, rate: float, classes: int) -> Clips:
    """Mix some examples with others: inputs except token ids, and labels (Zhang et al., 2017).

    An example stays unchanged if its partner lacks one of its modalities, or if all inputs are token ids.
    Targets become float32 [B, C].
    """
    count = len(batch)
    mixed = [m for m, x in batch.inputs.items() if x.dtype != torch.int64]
    device = next(iter(batch.inputs.values())).device
    partner = torch.randperm(count, device=device)
    weight = torch.distributions.Beta(_BETA, _BETA).sample((count,)).to(device)
    chosen = (torch.rand(count, device=device) < rate) & torch.tensor(bool(mixed), device=device)
    for m in mixed:
        chosen &= batch.present[m][partner] | ~batch.present[m]
    weight = torch.where(chosen, weight, 1.0)
    targets = batch.targets
    if targets is not None and not targets.is_floating_point():
        targets = functional.one_hot(targets, classes).float()
    return replace(
        batch,
        inputs={m: _mix(x, partner, weight) if m in mixed else x for m, x in batch.inputs.items()},
        targets=None if targets is None else _mix(targets, partner, weight),
    )


def _mix(x: Tensor, partner: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean of rows of [B, ...] and their partners; integers are rounded."""
    weight = weight.view(-1, *[1] * (x.dim() - 1))
    mixed = weight * x + (1 - weight) * x[partner]
    return mixed.to(x.dtype) if x.is_floating_point() else mixed.round().to(x.dtype)
