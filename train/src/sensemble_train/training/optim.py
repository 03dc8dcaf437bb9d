"""The optimizers: AdamW, its settings, the length of training and the rate of each step; L-BFGS."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import unwrap

import torch
from sensemble_sensors.strict_json import Count
from torch import Tensor, nn
from torch.optim import LBFGS, AdamW, Optimizer

from sensemble_train.field_checks import Amount, Size, check

_SLOW = 0.05  # share of the learning rate for pretrained weights
_ITERATIONS = 100


class _Uncompiled(Optimizer):
    """An optimizer whose methods are as torch wrote them.

    Torch wraps them, to leave them out of what is compiled, and for that imports its compiler, which takes as
    long as importing torch. Nothing but transformer blocks is compiled here.
    """

    add_param_group = unwrap(Optimizer.add_param_group)
    load_state_dict = unwrap(Optimizer.load_state_dict)
    state_dict = unwrap(Optimizer.state_dict)
    zero_grad = unwrap(Optimizer.zero_grad)


class _AdamW(_Uncompiled, AdamW):
    step = torch.no_grad()(unwrap(AdamW.step))


class _LBFGS(_Uncompiled, LBFGS):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """AdamW with a linear warm-up, then half a cosine to zero (Table 7).

    Pretrained weights learn at a twentieth of the rate: fast ones forget what they know.

    Attributes:
        steps: optimizer steps; 0 to count in `epochs`.
        epochs: passes over the examples, if `steps` is 0.
        batch: examples per step, on all ranks together.
        learning_rate: the peak.
        warmup: steps up to the peak, at most half of all steps.
        weight_decay: of AdamW.
        decay_vectors: decay gains, biases and the temperature as well. CLIP (Radford et al., 2021, Sec.
            2.5) and MAE's code exclude them; the paper does not say.
        clip: largest norm of the gradient, to which longer ones are scaled; 0 for no limit.
    """

    steps: Count = 0
    epochs: Count = 0
    batch: Size
    learning_rate: Amount
    warmup: Count = 0
    weight_decay: Amount = 0.05
    decay_vectors: bool = True
    clip: Amount = 0.0

    section = ""  # its place in the configuration

    def __post_init__(self) -> None:
        check(self, self.section)

    def length(self, examples: int) -> int:
        """Return the number of steps for this many examples."""
        return self.steps or self.epochs * max(1, examples // self.batch)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of `step` of `steps`, from 0; warm-up takes half of them at most."""
        rising = min(self.warmup, steps // 2)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def optimizer(module: nn.Module, settings: Optimization) -> AdamW:
    """Return AdamW for the parameters of `module` that learn; `set_rate` sets its learning rate."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        vector = sum(size > 1 for size in parameter.shape) < 2
        decay = 0.0 if vector and not settings.decay_vectors else settings.weight_decay
        groups.setdefault((decay, _SLOW if ".pretrained." in name else 1.0), []).append(parameter)
    # Fused: one pass over the weights, and no step waits for the device.
    return _AdamW(
        [
            {"params": group, "weight_decay": decay, "share": share}
            for (decay, share), group in groups.items()
        ],
        settings.learning_rate,
        fused=True,
    )


def set_rate(adamw: AdamW, rate: float) -> None:
    """Set the learning rate of a step; pretrained weights take their share of it."""
    for group in adamw.param_groups:
        group["lr"] = rate * group["share"]


def minimize(loss: Callable[[], Tensor], numbers: Sequence[Tensor]) -> None:
    """Minimize a smooth loss, a scalar, of a few numbers that require gradients, in place."""
    lbfgs = _LBFGS(numbers, max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def with_gradient() -> Tensor:
        lbfgs.zero_grad()
        found = loss()
        found.backward()
        return found

    lbfgs.step(with_gradient)  # type: ignore[no-untyped-call]
