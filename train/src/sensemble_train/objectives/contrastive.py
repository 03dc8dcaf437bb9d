"""Contrastive pretraining: InfoNCE over all pairs of modalities (paper, Sec. 4.1 and App. A)."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.data.clips import Clips
from sensemble_train.distributed import accumulating, gather
from sensemble_train.models.encoders import HIDE
from sensemble_train.models.model import Model
from sensemble_train.objectives.objective import Backgrounds, Objective, Part

MAX_SCALE = 100.0  # largest inverse temperature, as in CLIP (Radford et al., 2021, Sec. 2.5)

LOG_SCALE = math.log(1 / 0.07)  # logarithm of CLIP's initial inverse temperature


class Contrastive(Objective):
    """The mean of CLIP's symmetric loss over all n-choose-2 pairs, with a learned temperature.

    Every example is contrasted with all others of the global batch, of all ranks and micro-batches (Gao et
    al., 2021, "Scaling deep contrastive learning batch size under memory limited setup": embed without
    gradients, compute the loss's gradient with respect to the embeddings, embed again and continue backward
    from there).
    """

    def __init__(
        self, model: Model, log_scale: float = LOG_SCALE, backgrounds: Backgrounds | None = None
    ) -> None:
        super().__init__(model, backgrounds)
        model.head.requires_grad_(requires_grad=False)
        # One element: FSDP takes no scalars.
        self.log_scale = nn.Parameter(torch.tensor([min(log_scale, math.log(MAX_SCALE))]))

    def forward(self, *batches: Clips) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Return embeddings, modality -> [B, d], the log of the scale, and the backgrounds' loss."""
        (batch,) = batches
        embeddings, background_loss = self.embed(batch)
        return embeddings, self.log_scale * 1.0, background_loss + self.log_scale.sum() * 0.0

    def backward(self, call: nn.Module, parts: Sequence[Part], reseed: Callable[[int], None]) -> Tensor:
        """See `Objective`; the loss is the global batch's."""
        batches = [batch for (batch,) in parts]
        present = {m: torch.cat([batch.present[m] for batch in batches]) for m in self.model.modalities}
        if len(batches) == 1:
            reseed(0)
            embeddings, log_scale, background_loss = call(batches[0])
            loss: Tensor = global_loss(embeddings, log_scale, present) + background_loss
            loss.backward()
            return loss.detach()
        pieces = []
        for number, batch in enumerate(batches):
            reseed(number)
            with torch.no_grad():
                pieces.append(call(batch))
        whole = {m: torch.cat([e[m] for e, _, _ in pieces]).requires_grad_() for m in present}
        log_scale = pieces[0][1].detach().requires_grad_()
        loss = global_loss(whole, log_scale, present)
        *found, of_scale = torch.autograd.grad(loss, [*whole.values(), log_scale])
        gradients = dict(zip(whole, found, strict=True))
        size = len(batches[0])
        for number, batch in enumerate(batches):
            reseed(number)
            with accumulating(call, last=number == len(batches) - 1):
                embeddings, scale, background_loss = call(batch)
                own = [gradients[m][number * size :][:size] for m in embeddings]
                share = background_loss.new_tensor(1 / len(batches))
                torch.autograd.backward(
                    [*embeddings.values(), scale, background_loss], [*own, of_scale / len(batches), share]
                )
        return loss.detach() + torch.stack([piece[2] for piece in pieces]).mean()

    @torch.no_grad()
    def after_step(self) -> None:
        """Clamp the parameter itself, as CLIP does, so that it can leave the bound again."""
        self.log_scale.clamp_(max=math.log(MAX_SCALE))


def global_loss(embeddings: Mapping[str, Tensor], log_scale: Tensor, present: Mapping[str, Tensor]) -> Tensor:
    """Return the mean loss of the pairs of modalities that two examples have, or 0; the same on all ranks.

    This rank's unit-length `embeddings` are [B, d] by modality; the rows that are not `present` [B] are
    ignored.
    """
    scale = log_scale.exp()
    everywhere = {
        m: gather(embeddings[m].to(torch.promote_types(embeddings[m].dtype, torch.float32)))
        for m in sorted(embeddings)
    }
    has = {m: gather(present[m].float()).bool() for m in sorted(present)}
    # Every rank waits for the gradients of all parameters, also those that no pair uses.
    total = 0.0 * (torch.cat(list(everywhere.values())).sum() + scale.sum())
    pairs = torch.zeros_like(total)
    for a, b in combinations(everywhere, 2):
        both = has[a] & has[b]
        counts = both.sum() >= 2  # stays on the device, which is never asked for a number
        total = total + counts * info_nce(everywhere[a], everywhere[b], scale, both)
        pairs = pairs + counts
    return total / pairs.clamp(min=1)


def info_nce(a: Tensor, b: Tensor, scale: Tensor, both: Tensor) -> Tensor:
    """Return CLIP's symmetric cross entropy between paired unit-length embeddings [B, d].

    `scale` is the inverse temperature, [1]; only the rows `both`, bool [B], are contrasted with each other.
    """
    logits = scale * a @ b.T
    target = torch.arange(len(a), device=a.device)
    losses = [
        functional.cross_entropy(way.masked_fill(~both, HIDE), target, reduction="none")
        for way in (logits, logits.T)
    ]
    return torch.where(both, sum(losses), 0.0).sum() / both.sum().clamp(min=1) / 2
