"""The learning rate over a run: linear warm-up, then half a cosine to zero."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def one_cycle(optimizer: Optimizer, steps: int, warmup: float = 0.1) -> LambdaLR:
    """Return a schedule of `steps` steps, the first share `warmup` of which rises to the optimizer's rate."""
    rising = max(1, round(warmup * steps))

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return LambdaLR(optimizer, factor)
