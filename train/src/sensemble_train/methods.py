"""Downstream training: linear probe, finetuning, MASD and WiSE-FT (paper, Sec. 4.2 and App. C)."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.data import Clips
from sensemble_train.errors import ConfigurationError
from sensemble_train.model import Model
from sensemble_train.schedule import one_cycle

Progress = Callable[[int, int], None]

METHODS = ("linear_probe", "finetune", "wiseft", "masd", "masd+wiseft")


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """How the classifier is trained on frozen embeddings (Table 7, "Linear Probing")."""

    steps: int = 300
    learning_rate: float = 1e-2
    weight_decay: float = 1e-3


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """How the whole model is trained from the probe (Table 7, "Finetuning").

    Attributes:
        steps: optimizer steps.
        batch: labelled examples a step; MASD adds as many unlabelled ones.
        learning_rate: the peak of AdamW's.
        weight_decay: AdamW's.
        distillation: weight of the self-distillation loss; the task's has the rest (App. C: 0.5).
        alpha: weight of the trained model in WiSE-FT (Sec. 4.2.2: 0.75).
    """

    steps: int = 180
    batch: int = 64
    learning_rate: float = 3e-4
    weight_decay: float = 0.05
    distillation: float = 0.5
    alpha: float = 0.75


def task_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """L of Eq. 2: cross entropy for class indices int64 [B], binary cross entropy for 0/1 targets [B, C]."""
    if targets.dtype == torch.int64:
        return functional.cross_entropy(logits, targets)
    return functional.binary_cross_entropy_with_logits(logits, targets)


def self_distillation_loss(student: Tensor, teacher: Tensor, task: str) -> Tensor:
    """L_self-dist of Sec. 4.2.1: cross entropy of the student's predictions under the teacher's.

    Args:
        student: logits [B, C] of the modalities that the labelled data lacks.
        teacher: logits [B, C] of those that it has; no gradient flows into them.
        task: `multi-class`, over the classes' distribution, or `multi-label`, over each class's own.
    """
    teacher = teacher.detach()
    if task == "multi-class":
        return functional.cross_entropy(student, teacher.softmax(dim=-1))
    return functional.binary_cross_entropy_with_logits(student, teacher.sigmoid())


def freeze_norms(model: nn.Module) -> None:
    """Keep the stems' BatchNorm at the statistics of pretraining, which saw every modality."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def endless(clips: Clips, batch: int, generator: torch.Generator) -> Iterator[Clips]:
    """Yield batches of `clips` epoch after epoch.

    Raises:
        ConfigurationError: there are no two examples to a batch, and so would never be a batch.
    """
    if min(batch, len(clips)) < 2:
        raise ConfigurationError(
            f"batches of {batch} from {len(clips)} examples that have {', '.join(clips.inputs)}: "
            "training takes two at least; add examples or widen the batch"
        )
    while True:
        yield from clips.batches(batch, generator)


@torch.no_grad()
def embed_clips(model: Model, clips: Clips, batch: int = 256) -> dict[str, Tensor]:
    """Encode every modality of `clips` on its own, in evaluation mode: modality -> float32 [N, d]."""
    model.eval()
    return {
        m: torch.cat([model.encoders[m].encode(rows) for rows in features.split(batch)])  # type: ignore[operator]
        for m, features in clips.inputs.items()
    }


def linear_probe(
    model: Model, embeddings: Mapping[str, Tensor], labelled: Clips, train: Sequence[str], config: ProbeConfig
) -> Model:
    """Train a classifier on the frozen, pooled embeddings of the modalities `train` (M_T).

    A BatchNorm without affine parameters stands before the classifier while it learns (App. C) and is
    folded into it afterwards.

    Args:
        model: whose encoders gave `embeddings`; it is copied.
        embeddings: of all modalities of `labelled`, [N, d] each.
        labelled: the labelled examples.
        train: M_T; examples that lack one of them are left out.
        config: the optimizer's settings.

    Returns:
        A copy of `model` with the trained head, in evaluation mode.
    """
    clips = labelled.having(train)
    rows = torch.stack([labelled.present[m] for m in train]).all(dim=0)
    pooled = torch.stack([embeddings[m][rows] for m in train]).mean(dim=0)
    assert clips.targets is not None  # noqa: S101 - labelled, by its name
    norm = nn.BatchNorm1d(pooled.shape[1], affine=False, momentum=None)
    probed = copy.deepcopy(model)
    head = nn.Linear(pooled.shape[1], len(model.description.labels))
    optimizer = torch.optim.AdamW(head.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = one_cycle(optimizer, config.steps)
    for _ in range(config.steps):
        optimizer.zero_grad()
        task_loss(head(norm(pooled)), clips.targets).backward()
        optimizer.step()
        schedule.step()
    probed.head.load_state_dict(fold_norm(norm, head).state_dict())
    return probed.eval()


@torch.no_grad()
def fold_norm(norm: nn.BatchNorm1d, head: nn.Linear) -> nn.Linear:
    """Return the linear layer that equals `head(norm(x))` with the norm's running statistics."""
    assert norm.running_mean is not None  # noqa: S101 - tracked, as by default
    assert norm.running_var is not None  # noqa: S101
    scale = torch.rsqrt(norm.running_var + norm.eps)
    folded = nn.Linear(head.in_features, head.out_features)
    folded.weight.copy_(head.weight * scale)
    folded.bias.copy_(head.bias - folded.weight @ norm.running_mean)
    return folded


def finetune(
    probed: Model,
    labelled: Clips,
    train: Sequence[str],
    config: FinetuneConfig,
    generator: torch.Generator,
    progress: Progress,
    unlabelled: Clips | None = None,
) -> Model:
    """Train the whole model from the probe: on the task alone or, with `unlabelled` data, by MASD (Eq. 8).

    Args:
        probed: the linear probe for `train`; it is copied.
        labelled: D_T.
        train: M_T.
        config: the optimizer's settings.
        generator: draws the batches.
        progress: called with (steps done, steps in all).
        unlabelled: D_SD, of which the examples that have every modality are used. Where M_T is everything,
            MASD has no student and is finetuning.

    Returns:
        The trained model, in evaluation mode.
    """
    model = copy.deepcopy(probed)
    model.train()
    freeze_norms(model)
    clips = labelled.having(train)
    others = [m for m in model.modalities if m not in train]
    distill = unlabelled.having(model.modalities) if unlabelled is not None and others else None
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = one_cycle(optimizer, config.steps)
    tasks = endless(clips, config.batch, generator)
    students = None if distill is None else endless(distill, config.batch, generator)
    for step in range(config.steps):
        batch = next(tasks)
        assert batch.targets is not None  # noqa: S101 - labelled, by its name
        loss = task_loss(model.classify(batch.inputs), batch.targets)
        if students is not None:
            pair = next(students).inputs
            with torch.no_grad():
                teacher = model.classify({m: pair[m] for m in train})
            student = model.classify({m: pair[m] for m in others})
            weight = config.distillation
            loss = (1 - weight) * loss + weight * self_distillation_loss(
                student, teacher, model.description.task
            )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, config.steps)
    return model.eval()


def wiseft(trained: Model, probed: Model, alpha: float) -> Model:
    """Return alpha * trained + (1 - alpha) * probed, weight by weight (Eq. 9)."""
    merged = copy.deepcopy(probed)
    start = probed.state_dict()
    merged.load_state_dict(
        {
            name: alpha * value + (1 - alpha) * start[name] if value.is_floating_point() else value
            for name, value in trained.state_dict().items()
        }
    )
    return merged.eval()
