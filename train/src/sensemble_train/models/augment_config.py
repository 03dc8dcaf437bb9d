"""The settings of augmentation, as one part of a run's configuration (paper, Sec. 5 and App. E)."""

from dataclasses import dataclass

from sensemble_train.field_checks import MORE, SHARE, bounded


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Random changes of training batches; 0 turns one off. The paper's values are those of App. E.

    Attributes:
        mixup: share of the labelled examples that are mixed with another; 0.5 in the paper.
        beta: both parameters of the Beta distribution of the weights; the paper names none, AST has 10.
        time: frames of the log-mel that a hidden span is shorter than; 192 in the paper.
        bins: mel bins that a hidden span is shorter than; 48 in the paper.
        brightness: largest relative change; 0.2 in the paper.
        contrast: largest relative change; 0.1 in the paper.
        saturation: largest relative change; 0 in the paper.
        hue: largest change, as a fraction of the colour circle; 0.025 in the paper.
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
"""The augmentation of the paper's experiments."""
