"""What training changes in a batch at random (paper, Sec. 5 and App. E); stochastic depth is in the encoders.

Every function returns a new batch or tensor and draws from torch's global generator.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.transforms import FrequencyMasking, TimeMasking
from torchvision.transforms import v2

from sensemble_train.data import Clips

BETA = 10.0
"""Both parameters of the Beta distribution of mixup's weights; the paper names none, this is AST's."""


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """What is changed at random in training; the paper's values are those of App. E.

    Attributes:
        mixup: share of the labelled examples that are mixed with another; the paper's is 0.5.
        time: frames of the log-mel that a hidden span is shorter than; 192, or 0 to hide none.
        bins: mel bins that one is shorter than; 48, or 0.
        color: whether brightness, contrast and hue of videos change.
    """

    mixup: float = 0.0
    time: int = 0
    bins: int = 0
    color: bool = False


PAPER = AugmentConfig(mixup=0.5, time=192, bins=48, color=True)


def augment(batch: Clips, config: AugmentConfig, classes: int) -> Clips:
    """Return a batch of features as training shall see it: changed by all that `config` names.

    Crops are not among it: they are cut when a video is decoded (`Sampling.zoom`).

    Args:
        batch: features; without labels it is not mixed.
        config: what to change.
        classes: how many there are.
    """
    inputs = dict(batch.inputs)
    if "audio" in inputs and (config.time or config.bins):
        inputs["audio"] = spec_augment(inputs["audio"], config.time, config.bins)
    if "video" in inputs and config.color:
        inputs["video"] = color_jitter(inputs["video"])
    changed = replace(batch, inputs=inputs)
    return mixup(changed, config.mixup, classes) if config.mixup and batch.targets is not None else changed


def mixup(batch: Clips, rate: float = 0.5, classes: int = 0) -> Clips:
    """Mix some examples with others of the batch: all inputs but text, and the labels (Zhang et al., 2017).

    Args:
        batch: raw tensors or features; bytes are rounded. An example with something that its partner lacks
            is left as it is, as is a batch of text alone.
        rate: the share of examples that are mixed (App. E), each with a weight from Beta(10, 10).
        classes: how many there are, for targets that are class indices.

    Returns:
        The batch; its targets, if any, are float32 [B, C].
    """
    count = len(batch)
    mixed = [m for m in batch.inputs if m != "text"]
    device = next(iter(batch.inputs.values())).device
    partner = torch.randperm(count, device=device)
    weight = torch.distributions.Beta(BETA, BETA).sample((count,)).to(device)
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
    """Return the weighted mean of rows of [B, ...] and their partners, in the type of x."""
    weight = weight.view(-1, *[1] * (x.dim() - 1))
    mixed = weight * x + (1 - weight) * x[partner]
    return mixed.to(x.dtype) if x.is_floating_point() else mixed.round().to(x.dtype)


def spec_augment(log_mel: Tensor, time: int = 192, bins: int = 48) -> Tensor:
    """Hide one span of time and one of mel bins in each example (Park et al., 2019).

    Args:
        log_mel: normalized, float32 [B, 1, frames, bins]; what is hidden becomes 0, the mean.
        time: frames that the first span is shorter than, and `bins` the second (App. E: 192 and 48).
        bins: mel bins that the second span is shorter than.
    """
    hidden = TimeMasking(time, iid_masks=True)(log_mel.transpose(2, 3))
    return FrequencyMasking(bins, iid_masks=True)(hidden).transpose(2, 3)  # type: ignore[no-any-return]


def color_jitter(clips: Tensor) -> Tensor:
    """Change brightness by up to 0.2, contrast by 0.1 and hue by 0.025, alike in all frames of a clip.

    Args:
        clips: uint8 [B, T, H, W, 3]. The paper's deltas (App. E; that of saturation is 0) are taken to be
            torchvision's, whose brightness is a factor.
    """
    jitter = v2.ColorJitter(brightness=0.2, contrast=0.1, saturation=0.0, hue=0.025)
    return torch.stack([jitter(clip.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) for clip in clips])
