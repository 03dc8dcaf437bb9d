"""What training changes in a batch at random (paper, Sec. 5 and App. E); stochastic depth is in the encoders.

Every function returns a new batch or tensor and draws from torch's global generator.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.transforms import FrequencyMasking, TimeMasking
from torchvision.transforms import v2

from sensemble_train.data.clips import Clips
from sensemble_train.field_checks import MORE, SHARE, bounded


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """What is changed at random in training; the paper's values are those of App. E.

    Attributes:
        mixup: share of the labelled examples that are mixed with another; the paper's is 0.5.
        beta: both parameters of the Beta distribution of their weights; the paper names none, 10 is AST's.
        time: frames of the log-mel that a hidden span is shorter than; 192, or 0 to hide none.
        bins: mel bins that one is shorter than; 48, or 0.
        brightness: by how much it changes at most, as a share of what it was; 0.2.
        contrast: as brightness; 0.1.
        saturation: as brightness; 0.
        hue: by how much of the colour circle it changes at most; 0.025.
    """

    mixup: float = 0.0
    beta: float = 10.0
    time: int = 0
    bins: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        some = 0, MORE
        bounded(self, "augment.", mixup=SHARE, beta=(1e-3, MORE), time=some, bins=some)
        bounded(self, "augment.", brightness=SHARE, contrast=SHARE, saturation=SHARE, hue=(0, 0.5))


PAPER = AugmentConfig(mixup=0.5, time=192, bins=48, brightness=0.2, contrast=0.1, saturation=0.0, hue=0.025)


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
    deltas = config.brightness, config.contrast, config.saturation, config.hue
    if "video" in inputs and any(deltas):
        inputs["video"] = color_jitter(inputs["video"], *deltas)
    changed = replace(batch, inputs=inputs)
    if not config.mixup or batch.targets is None:
        return changed
    return mixup(changed, config.mixup, config.beta, classes)


def mixup(batch: Clips, rate: float, beta: float, classes: int) -> Clips:
    """Mix some examples with others of the batch: all inputs but text, and the labels (Zhang et al., 2017).

    Args:
        batch: raw tensors or features; bytes are rounded. An example with something that its partner lacks
            is left as it is, as is a batch of text alone.
        rate: the share of examples that are mixed.
        beta: both parameters of the distribution of their weights.
        classes: how many there are, for targets that are class indices.

    Returns:
        The batch; its targets, if any, are float32 [B, C].
    """
    count = len(batch)
    mixed = [m for m in batch.inputs if m != "text"]
    device = next(iter(batch.inputs.values())).device
    partner = torch.randperm(count, device=device)
    weight = torch.distributions.Beta(beta, beta).sample((count,)).to(device)
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


def spec_augment(log_mel: Tensor, time: int, bins: int) -> Tensor:
    """Hide one span of time and one of mel bins in each example (Park et al., 2019).

    Args:
        log_mel: normalized, float32 [B, 1, frames, bins]; what is hidden becomes 0, the mean.
        time: frames that the first span is shorter than.
        bins: mel bins that the second span is shorter than.
    """
    hidden = TimeMasking(time, iid_masks=True)(log_mel.transpose(2, 3))
    return FrequencyMasking(bins, iid_masks=True)(hidden).transpose(2, 3)  # type: ignore[no-any-return]


def color_jitter(clips: Tensor, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Change the colours of clips, alike in all frames of each.

    Args:
        clips: uint8 [B, T, H, W, 3].
        brightness: the greatest change of it, as all of these; those of App. E are taken to be torchvision's,
            whose brightness is a factor.
        contrast: of the contrast.
        saturation: of the saturation.
        hue: of the hue.
    """
    jitter = v2.ColorJitter(brightness, contrast, saturation, hue)
    return torch.stack([jitter(clip.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) for clip in clips])
