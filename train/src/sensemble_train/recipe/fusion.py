"""Late fusion of specialists, whose calibrated evidence is added: the teacher of subset distillation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from sensemble_runtime.auditing.calibration import LEAST, REDUNDANT, fit_temperature
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.subsets import Subset, measured
from torch import Tensor, nn

from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.models.encoders import ByModality, Encoder, module_name
from sensemble_train.models.model import Head, Model, copied
from sensemble_train.objectives.task import task_loss
from sensemble_train.recipe.evaluate import BATCH, embed
from sensemble_train.recipe.linear import LinearFit, fit_linear
from sensemble_train.training.loop import Loop
from sensemble_train.training.scale import autocast

_OTHERS = 0.5  # weight of the logits of sensors outside a subset


class Logits(nn.Module):
    """An encoder whose embedding is a calibrated opinion: log-probabilities of the classes, float32 [B, C].

    They are the prior and the evidence, which is the mean of the readers' logits less the prior, divided by
    `temperature`. Dividing the logits instead would make rare classes likelier than they are. The reader is
    the modality's specialist, or those of other modalities where it has no labels.
    """

    prior: Tensor

    def __init__(self, readers: Sequence[Model], modality: str, prior: Tensor) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(reader.encoders[modality] for reader in readers)
        self.heads = nn.ModuleList(reader.head for reader in readers)
        self.register_buffer("prior", prior, persistent=False)
        self.temperature = 1.0

    def front(self, raw: Tensor) -> Tensor:
        """Return the encoder's features of raw windows."""
        return self.encoders[0].front(raw)  # type: ignore[operator, no-any-return]

    def encode(self, features: Tensor) -> Tensor:
        """Return the opinions [B, C] of features."""
        logits = [head(e.encode(features)) for e, head in zip(self.encoders, self.heads, strict=True)]  # type: ignore[operator]
        return self.prior + (torch.stack(logits).mean(dim=0) - self.prior) / self.temperature


class LateFusion(Model):
    """Late fusion as a model: its embeddings are opinions of `specialists`, whose evidence its head adds.

    The opinions l_m of n sensors say, up to a number that all classes share,

        log p(c) + n ** -r * sum of (l_m(c) - log p(c)):

    the prior counts once, and the evidence as often as the redundancy r lets it. With 0, sensors are
    independent given the class (naive Bayes); with 1, they repeat each other, and their mean counts. The
    belief has the same r (`runtime.engine.belief`).

    A modality without a specialist is read by the heads of all of them: its embeddings lie in the same space.

    Args:
        prior: logits of the classes before any sensor is read, float32 [C]; see `prior_logits`.
    """

    prior: Tensor

    def __init__(self, specialists: Mapping[str, Model], prior: Tensor) -> None:
        first, *_ = every = list(specialists.values())
        super().__init__(first.description, first.tokenizer)
        readers = {m: [specialists[m]] if m in specialists else every for m in self.modalities}
        self.encoders = ByModality({m: Logits(some, m, prior) for m, some in readers.items()})
        self.register_buffer("prior", prior, persistent=False)
        self.head = Head(len(prior), len(prior))
        self.repeat(REDUNDANT)

    @torch.no_grad()
    def repeat(self, redundancy: float) -> None:
        """Set the redundancy of the sensors."""
        self.redundancy = redundancy
        # The head reads the mean of all n opinions: the power of its evidence is n ** (1 - r).
        power = len(self.modalities) ** (1 - redundancy)
        self.head.linear.weight.copy_(power * torch.eye(len(self.prior)))
        self.head.linear.bias.copy_((1 - power) * self.prior)

    def answers(self, pooled: Tensor, sizes: Tensor) -> Tensor:
        """See `Model`."""
        return self.prior + sizes ** (1 - self.redundancy) * (pooled - self.prior)

    def opinions(self, embedded: Mapping[str, Tensor], sets: Sequence[Subset]) -> Tensor:
        """Return the logits [B, S, C] that a student is taught for each of `sets`, of opinions [B, C].

        They have all that the subset's own sensors say and half of what the others do: a sensor that is
        taught what it cannot know memorizes its examples.
        """
        evidence = torch.stack([embedded[m] for m in self.modalities]) - self.prior
        shares = [[1.0 if m in subset else _OTHERS for m in self.modalities] for subset in sets]
        weights = evidence.new_tensor(shares)
        weights = weights * weights.sum(dim=1, keepdim=True) ** -self.redundancy
        return self.prior + torch.einsum("sm,mbc->bsc", weights, evidence)


def prior_logits(targets: Tensor, task: str, classes: int) -> Tensor:
    """Return the logits [C] of the classes' shares among labels, int64 [N] or 0/1 [N, C].

    A pseudo-example spread over all classes keeps them finite.
    """
    if task == "multi-class":
        return ((torch.bincount(targets, minlength=classes) + 1 / classes) / (len(targets) + 1)).log()
    return ((targets.sum(dim=0) + 0.5) / (len(targets) + 1)).logit()


class Linear(Encoder):
    """A linear classifier of the first view of a frozen encoder's features; its embedding is the logits."""

    def __init__(self, frozen: Encoder, fitted: LinearFit) -> None:
        super().__init__()
        self.frozen = frozen
        classes, size = fitted.weight.shape
        self.linear = nn.Linear(size, classes)
        with torch.no_grad():
            self.linear.weight.copy_(fitted.weight)
            self.linear.bias.copy_(fitted.bias)

    def front(self, raw: Tensor) -> Tensor:
        """Return the encoder's features of raw windows."""
        return self.frozen.front(raw)

    def encode(self, features: Tensor) -> Tensor:
        """Return the logits [B, C] of features [B, V, F]."""
        return self.linear(features[:, 0])  # type: ignore[no-any-return]


def linear_specialist(model: Model, modality: str, labelled: Clips, decay: float) -> Model:
    """Return `model` with a linear classifier in place of the adapter of a modality, and no head."""
    known, described = labelled.having((modality,)), model.description
    assert known.targets is not None  # noqa: S101 - those of D_T
    whole = torch.full((len(known),), -1)  # nothing is left out
    classes, task = len(described.labels), described.task
    fitted = fit_linear(known.inputs[modality], known.targets, whole, classes, task, decay=decay)
    specialist = copied(model)
    specialist.encoders[module_name(modality)] = Linear(model.encoders[modality], fitted)  # type: ignore[arg-type]
    specialist.head = nn.Identity()  # type: ignore[assignment]
    return specialist.eval()


@torch.no_grad()
def likeliest(specialists: Iterable[Model], modality: str, prior: Tensor, selection: Clips) -> Model:
    """Return the specialist by which, at its temperature, the labels of `selection` are most likely."""
    held = selection.having((modality,))
    targets = held.targets
    assert targets is not None  # noqa: S101 - those of `calibrate`

    def loss(specialist: Model) -> float:
        evidence = specialist.eval().classify({modality: held.inputs[modality]}) - prior
        temperature = _temperature(evidence, targets, specialist.description.task, prior)
        return float(task_loss(prior + evidence / temperature, targets, specialist.description.task))

    return min(specialists, key=loss)


def _temperature(evidence: Tensor, targets: Tensor, task: Task, prior: Tensor) -> float:
    return fit_temperature(evidence.numpy(), targets.numpy(), task, least=1, prior=prior.numpy())


@torch.no_grad()
def fuse(specialists: Mapping[str, Model], prior: Tensor, selection: ClipSource, loop: Loop) -> LateFusion:
    """Return the late fusion of specialists.

    Its temperatures and its redundancy make the labels of `selection` (`calibrate`) most likely.
    """
    fused = LateFusion(specialists, prior).eval()
    (embedded,) = embed(selection, loop, fused)
    if embedded.targets is None:
        return fused
    task = fused.description.task
    for m, encoder in fused.encoders.items():
        known = embedded.having((m,))
        if len(known) and known.targets is not None:
            temperature = _temperature(known.inputs[m] - prior, known.targets, task, prior)
            encoder.temperature = temperature  # type: ignore[assignment]
            embedded.inputs[m].copy_(prior + (embedded.inputs[m] - prior) / temperature)
    # The redundancy is one of eleven. The answers of all sets of sensors count.
    sets = [one for one in measured(fused.modalities) if len(one) > 1]
    together = [clips for one in sets if len(clips := embedded.having(one)) >= LEAST]

    def loss(redundancy: float) -> float:
        fused.repeat(redundancy)
        total = 0.0
        for clips in together:
            assert clips.targets is not None  # noqa: S101 - those of `selection`
            opinions = torch.stack(list(clips.inputs.values()))
            answers = fused.answers(opinions.mean(dim=0), torch.tensor(len(opinions)))
            total += float(task_loss(answers, clips.targets, task))
        return total

    fused.repeat(min((step / 10 for step in range(11)), key=loss) if together else REDUNDANT)
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
