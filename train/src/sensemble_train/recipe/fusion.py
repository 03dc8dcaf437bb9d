"""Late fusion of specialists, whose calibrated logits are added: the teacher of subset distillation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from sensemble_runtime.auditing.calibration import fit_temperature
from sensemble_runtime.subsets import Subset, measured
from torch import Tensor, nn

from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.models.encoders import ByModality
from sensemble_train.models.model import Head, Model
from sensemble_train.recipe.evaluate import BATCH, embed
from sensemble_train.training.loop import Loop
from sensemble_train.training.scale import autocast

_OTHERS = 0.5  # weight of the logits of sensors outside a subset


class Logits(nn.Module):
    """An encoder whose embedding is the mean of its readers' logits over its `temperature`, float32 [B, C].

    The reader is the modality's specialist, or those of other modalities where it has no labels.
    """

    def __init__(self, readers: Sequence[Model], modality: str) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(reader.encoders[modality] for reader in readers)
        self.heads = nn.ModuleList(reader.head for reader in readers)
        self.temperature = 1.0

    def front(self, raw: Tensor) -> Tensor:
        """Return the encoder's features of raw windows."""
        return self.encoders[0].front(raw)  # type: ignore[operator, no-any-return]

    def encode(self, features: Tensor) -> Tensor:
        """Return the mean logits [B, C] over the temperature."""
        logits = [head(e.encode(features)) for e, head in zip(self.encoders, self.heads, strict=True)]  # type: ignore[operator]
        return torch.stack(logits).mean(dim=0) / self.temperature


class LateFusion(Model):
    """Late fusion as a model: its embeddings are the logits of `specialists`, and its head adds them.

    Sensors are taken to be independent given the class (naive Bayes), so the prior of the classes counts
    once: log p(c | all) = sum of log p(c | m) - (n - 1) log p(c), up to a number that all classes share.
    A modality without a specialist is read by the heads of all of them: its embeddings lie in the same space.

    Args:
        prior: logits of the classes before any sensor is read, float32 [C]; see `prior_logits`.
    """

    prior: Tensor

    def __init__(self, specialists: Mapping[str, Model], prior: Tensor) -> None:
        first, *_ = every = list(specialists.values())
        super().__init__(first.description, first.tokenizer)
        readers = {m: [specialists[m]] if m in specialists else every for m in self.modalities}
        self.encoders = ByModality({m: Logits(some, m) for m, some in readers.items()})
        self.register_buffer("prior", prior, persistent=False)
        count, classes = len(self.modalities), len(first.description.labels)
        self.head = Head(classes, classes)
        with torch.no_grad():
            # The head reads a mean: times n, that of all n modalities is their sum.
            self.head.linear.weight.copy_(count * torch.eye(classes))
            self.head.linear.bias.copy_(-(count - 1) * prior)

    def answers(self, pooled: Tensor, sizes: Tensor) -> Tensor:
        """See `Model`."""
        return sizes * pooled - (sizes - 1) * self.prior

    def opinions(self, embedded: Mapping[str, Tensor], sets: Sequence[Subset]) -> Tensor:
        """Return the logits [B, S, C] that a student is taught for each of `sets`, of logits [B, C].

        They have all that the subset's own sensors say and half of what the others do: a sensor that is
        taught what it cannot know memorizes its examples.
        """
        stacked = torch.stack([embedded[m] for m in self.modalities])
        shares = [[1.0 if m in subset else _OTHERS for m in self.modalities] for subset in sets]
        weights = stacked.new_tensor(shares)
        once = (weights.sum(dim=1, keepdim=True) - 1) * self.prior
        return torch.einsum("sm,mbc->bsc", weights, stacked) - once


def prior_logits(targets: Tensor, task: str, classes: int) -> Tensor:
    """Return the logits [C] of the classes' shares among labels, int64 [N] or 0/1 [N, C].

    A pseudo-example spread over all classes keeps them finite.
    """
    if task == "multi-class":
        return ((torch.bincount(targets, minlength=classes) + 1 / classes) / (len(targets) + 1)).log()
    return ((targets.sum(dim=0) + 0.5) / (len(targets) + 1)).logit()


@torch.no_grad()
def fuse(specialists: Mapping[str, Model], prior: Tensor, selection: ClipSource, loop: Loop) -> LateFusion:
    """Return the late fusion of specialists, with temperatures fitted to `selection` (`calibrate`)."""
    fused = LateFusion(specialists, prior).eval()
    (embedded,) = embed(selection, loop, fused)
    for m, encoder in fused.encoders.items():
        known = embedded.having((m,))
        if len(known) and known.targets is not None:
            logits, truth = known.inputs[m].numpy(), known.targets.numpy()
            encoder.temperature = fit_temperature(logits, truth, fused.description.task, least=1)  # type: ignore[assignment]
    return fused


def teach(teacher: Model, source: ClipSource, loop: Loop) -> ClipSource:
    """Return `source` with a frozen teacher's probabilities of its unaugmented examples as targets.

    They are float32 [N, C] or, of late fusion, [N, S, C] of subsets.
    """
    return source.mapped(partial(_labelled, teacher.eval(), loop))


@torch.no_grad()
def _labelled(teacher: Model, loop: Loop, clips: Clips) -> Clips:
    device, home = loop.world.device, next(iter(clips.inputs.values())).device
    teacher.to(device)
    targets = []
    for rows in torch.arange(len(clips)).split(loop.scale.micro_batch or BATCH):
        with autocast(loop.scale, loop.world):
            embedded = teacher.embed(clips.take(rows).to(device).inputs)
        targets.append(_targets(teacher, {m: x.float() for m, x in embedded.items()}).to(home))
    return replace(clips, targets=torch.cat(targets))


def _targets(model: Model, embedded: dict[str, Tensor]) -> Tensor:
    """Return probabilities of the classes: float32 [N, C], or [N, S, C] of subsets."""
    if isinstance(model, LateFusion):
        logits = model.opinions(embedded, measured(model.modalities))
    else:
        logits = model.head(torch.stack([embedded[m] for m in model.modalities]).mean(dim=0))
    return logits.softmax(dim=-1) if model.description.task == "multi-class" else logits.sigmoid()
