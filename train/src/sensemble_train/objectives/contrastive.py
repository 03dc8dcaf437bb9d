"""Contrastive pretraining: InfoNCE over all pairs of modalities (paper, Sec. 4.1 and App. A)."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.data.clips import Clips
from sensemble_train.distributed import accumulating, gather
from sensemble_train.models.model import Model
from sensemble_train.objectives.objective import Objective, Part

MAX_SCALE = 100.0
"""Largest inverse temperature, as in CLIP (Radford et al., 2021, Sec. 2.5)."""

LOG_SCALE = math.log(1 / 0.07)
"""Logarithm of the inverse temperature with which CLIP began."""


class Contrastive(Objective):
    """The mean of CLIP's symmetric loss over all n-choose-2 pairs, with a learned temperature.

    Every example is contrasted with all others of the global batch: the embeddings of all ranks are gathered,
    and those of a rank's micro-batches too (Gao et al., 2021, "Scaling deep contrastive learning batch size
    under memory limited setup": embed without gradients, take the loss's gradient with respect to the
    embeddings, embed again and go on backward from there).

    Args:
        model: its encoders are trained in place.
        log_scale: the logarithm of the inverse temperature to begin with.
    """

    def __init__(self, model: Model, log_scale: float = LOG_SCALE) -> None:
        super().__init__(model)
        model.head.requires_grad_(requires_grad=False)
        # Of one element, for FSDP takes no scalars.
        self.log_scale = nn.Parameter(torch.tensor([min(log_scale, math.log(MAX_SCALE))]))

    def forward(self, *batches: Clips) -> tuple[dict[str, Tensor], Tensor]:
        """Return the embeddings, modality -> float32 [B, d], and the logarithm of the inverse temperature."""
        (batch,) = batches
        embeddings = {m: self._embed(m, batch) for m in self.model.modalities}
        return embeddings, self.log_scale * 1.0

    def backward(self, call: nn.Module, parts: Sequence[Part], reseed: Callable[[int], None]) -> Tensor:
        """Add the gradient of the global batch's loss, and return that loss; see `Objective`."""
        batches = [batch for (batch,) in parts]
        present = {m: torch.cat([batch.present[m] for batch in batches]) for m in self.model.modalities}
        if len(batches) == 1:
            reseed(0)
            embeddings, log_scale = call(batches[0])
            loss = global_loss(embeddings, log_scale, present)
            loss.backward()
            return loss.detach()
        pieces = []
        for number, batch in enumerate(batches):
            reseed(number)
            with torch.no_grad():
                pieces.append(call(batch))
        whole = {m: torch.cat([e[m] for e, _ in pieces]).requires_grad_() for m in present}
        log_scale = pieces[0][1].detach().requires_grad_()
        loss = global_loss(whole, log_scale, present)
        loss.backward()
        size = len(batches[0])
        for number, batch in enumerate(batches):
            reseed(number)
            with accumulating(call, last=number == len(batches) - 1):
                embeddings, scale = call(batch)
                gradients = [_gradient(whole[m])[number * size :][:size] for m in embeddings]
                torch.autograd.backward(
                    [*embeddings.values(), scale], [*gradients, _gradient(log_scale) / len(batches)]
                )
        return loss.detach()

    @torch.no_grad()
    def after_step(self) -> None:
        """Bound the temperature as CLIP does: the parameter, so that it can come back from its bound."""
        self.log_scale.clamp_(max=math.log(MAX_SCALE))

    def _embed(self, modality: str, batch: Clips) -> Tensor:
        """Encode the rows that are there, so that BatchNorm sees no zeros of absent ones; those stay zero."""
        rows = batch.present[modality]
        if int(rows.sum()) < 2:
            # Too few for BatchNorm; but every rank has to use every encoder. The loss ignores absent rows.
            rows = torch.ones_like(rows)
        found = self.model.encoders[modality].encode(batch.inputs[modality][rows])  # type: ignore[operator]
        return found.new_zeros(len(rows), found.shape[1]).index_put((rows,), found)  # type: ignore[no-any-return]


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def global_loss(embeddings: Mapping[str, Tensor], log_scale: Tensor, present: Mapping[str, Tensor]) -> Tensor:
    """Return the loss of the batch that all ranks hold together; each gets the same.

    Args:
        embeddings: modality -> this rank's unit-length embeddings float32 [B, d]; absent rows are ignored.
        log_scale: logarithm of the inverse temperature, [1].
        present: modality -> bool [B], which of this rank's examples have that modality.

    Returns:
        A scalar, float32: the mean over the pairs that at least two examples share; 0 if there is none.
    """
    scale = log_scale.exp()
    everywhere = {
        m: gather(embeddings[m].to(torch.promote_types(embeddings[m].dtype, torch.float32)))
        for m in sorted(embeddings)
    }
    there = {m: gather(present[m].float()).bool() for m in sorted(present)}
    losses = []
    for a, b in combinations(everywhere, 2):
        both = there[a] & there[b]
        if int(both.sum()) >= 2:
            losses.append(info_nce(everywhere[a][both], everywhere[b][both], scale))
    # Every rank waits for the gradient of everything, even of what no pair has.
    unused = 0.0 * (torch.cat(list(everywhere.values())).sum() + scale.sum())
    return torch.stack([*losses, unused]).sum() / max(1, len(losses))


def info_nce(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """Return CLIP's symmetric cross entropy between unit-length embeddings [B, d] whose rows are paired."""
    logits = scale * a @ b.T
    target = torch.arange(len(a), device=a.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
