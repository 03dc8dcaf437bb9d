"""The optimizer: its settings, the length of training, and the learning rate of each step."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW

from sensemble_train.field_checks import MORE, bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """AdamW with a linear warm-up, then half a cosine to zero (Table 7).

    Attributes:
        steps: optimizer steps; 0 to count in `epochs`.
        epochs: passes over the examples, if `steps` is 0.
        batch: examples per step, on all ranks together.
        learning_rate: the peak.
        warmup: steps up to the peak, at most half of all steps.
        weight_decay: of AdamW.
        decay_vectors: whether gains, biases and the temperature decay too. CLIP (Radford et al., 2021, Sec.
            2.5) and MAE's code exclude them; the paper does not say.
        clip: largest norm of the gradient, to which longer ones are scaled; 0 for no limit.
    """

    steps: int = 0
    epochs: int = 0
    batch: int
    learning_rate: float
    warmup: int = 0
    weight_decay: float = 0.05
    decay_vectors: bool = True
    clip: float = 0.0

    section = ""  # its place in the configuration

    def __post_init__(self) -> None:
        some = 0, MORE
        bounded(self, self.section, steps=some, epochs=some, batch=(1, MORE), learning_rate=some)
        bounded(self, self.section, warmup=some, weight_decay=some, clip=some)

    def length(self, examples: int) -> int:
        """Return the number of steps for this many examples."""
        return self.steps or self.epochs * max(1, examples // self.batch)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of `step`, counted from 0, of `steps`.

        The warm-up of a short run is cut to half of its steps.
        """
        rising = min(self.warmup, steps // 2)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def optimizer(parameters: Iterable[nn.Parameter], settings: Optimization) -> AdamW:
    """Return AdamW for `parameters`, at the peak learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        vector = sum(size > 1 for size in parameter.shape) < 2
        decay = 0.0 if vector and not settings.decay_vectors else settings.weight_decay
        groups.setdefault(decay, []).append(parameter)
    # Fused: one pass over the weights, and no step waits for the device.
    return AdamW(
        [{"params": group, "weight_decay": decay} for decay, group in groups.items()],
        settings.learning_rate,
        fused=True,
    )
