"""What a training loop minimizes: a module, and how the gradient of a step's micro-batches is added up."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sensemble_train.data.clips import Clips
from sensemble_train.distributed import accumulating
from sensemble_train.models.model import Model

Part = tuple[Clips, ...]
"""One micro-batch of features from each source of examples."""


class Objective(nn.Module, ABC):
    """A loss of `model`; those of its parameters that learn require gradients.

    Attributes:
        model: what is trained, in place.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    @abstractmethod
    def forward(self, *batches: Clips) -> Any:  # noqa: ANN401 - it is between the subclass's own two methods
        """Compute, with all parameters, what `backward` needs of a micro-batch."""

    @abstractmethod
    def backward(self, call: nn.Module, parts: Sequence[Part], reseed: Callable[[int], None]) -> Tensor:
        """Add the gradient of the loss over `parts` to the parameters' and return that loss, a scalar.

        Args:
            call: this objective, as the ranks share it: to be called for `forward`.
            parts: micro-batches, all of the same size.
            reseed: sets the random state that the part of that number begins with.
        """

    def after_step(self) -> None:
        """Bring back what the optimizer may have moved out of its bounds."""


class MeanLoss(Objective):
    """An objective whose loss over a batch is the mean of its parts' losses."""

    @abstractmethod
    def forward(self, *batches: Clips) -> Tensor:
        """Return the mean loss over a micro-batch, a scalar."""

    def backward(self, call: nn.Module, parts: Sequence[Part], reseed: Callable[[int], None]) -> Tensor:
        """Accumulate the parts' gradients; see `Objective`."""
        losses = []
        for number, part in enumerate(parts):
            reseed(number)
            with accumulating(call, last=number == len(parts) - 1):
                loss = call(*part) / len(parts)
                loss.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum()
