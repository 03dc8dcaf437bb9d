"""Our loss of the global batch and open_clip's, on several ranks; `tests.train.ranks` compares them."""

import math
import warnings
from itertools import combinations

import torch
from sensemble_train.objectives.contrastive import global_loss
from torch.nn import functional

from tests.train.openai_clip import open_clip

COUNT, SIZE = 5, 6


def compare(names: tuple[str, ...], rank: int, size: int) -> None:
    """Hold value and gradients of the rank's share to each other, 1e-6."""
    torch.manual_seed(rank)
    rows = [functional.normalize(torch.randn(COUNT, SIZE, dtype=torch.float64), dim=1) for _ in names]
    ours, theirs = ([x.clone().requires_grad_() for x in rows] for _ in range(2))
    mine, other = (torch.tensor([math.log(1 / 0.07)], dtype=torch.float64).requires_grad_() for _ in range(2))
    there = {m: torch.ones(COUNT, dtype=torch.bool) for m in names}
    value = global_loss(dict(zip(names, ours, strict=True)), mine, there)
    clip = open_clip("loss").ClipLoss(local_loss=False, gather_with_grad=True, rank=rank, world_size=size)
    pairs = list(combinations(theirs, 2))
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # it gathers in a deprecated way
        reference = torch.stack([clip(a, b, other.exp()) for a, b in pairs]).sum() / len(pairs)
    torch.testing.assert_close(value, reference, atol=1e-6, rtol=0)
    value.backward()
    reference.backward()
    for leaf, twin in zip([*ours, mine], [*theirs, other], strict=True):
        torch.testing.assert_close(leaf.grad, twin.grad, atol=1e-6, rtol=0)
    assert all(leaf.grad.abs().max() > 1e-3 for leaf in ours)  # type: ignore[union-attr]
