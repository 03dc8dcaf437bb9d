"""How long and how fast a model is trained."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """AdamW over a number of steps: linear warm-up, then half a cosine to zero (Table 7).

    Attributes:
        steps: optimizer steps, or 0 if `epochs` says how many.
        epochs: passes over the examples, where `steps` is 0.
        batch: examples a step, on all ranks together.
        learning_rate: the highest.
        warmup: steps that lead up to it.
        weight_decay: of AdamW.
        clip: the greatest norm of the gradient, to which longer ones are cut; 0 to leave them.
    """

    steps: int = 0
    epochs: int = 0
    batch: int
    learning_rate: float
    warmup: int = 0
    weight_decay: float = 0.05
    clip: float = 0.0

    def length(self, examples: int) -> int:
        """Return how many steps that is."""
        return self.steps or self.epochs * max(1, examples // self.batch)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of `step`, counted from 0, of `steps`."""
        rising = min(self.warmup, steps // 2)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
