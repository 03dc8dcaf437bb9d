"""Pretraining, probe, finetuning, MASD (paper, Sec. 4 and App. A and C), and subset distillation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from sensemble_sensors.strict_json import Count, Share
from torch import nn

from sensemble_train.data.batching import BatchOrder
from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.field_checks import Amount, Size
from sensemble_train.models.model import Head, Model, copied
from sensemble_train.objectives.contrastive import LOG_SCALE, Contrastive
from sensemble_train.objectives.objective import Backgrounds, Objective
from sensemble_train.objectives.subset_distillation import SubsetDistillation
from sensemble_train.objectives.task import Distillation, LabelledTask, task_loss
from sensemble_train.recipe.fusion import teach
from sensemble_train.training.augment import augment
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization, optimizer, set_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(Optimization):
    """Settings of pretraining (Table 7, "Pretraining"); the defaults are those of `digits`.

    Attributes:
        background: weight of the loss that keeps backgrounds apart; 0 for none.
    """

    background: Amount = 0.5
    steps: Count = 100
    batch: Size = 100
    learning_rate: Amount = 1e-3
    warmup: Count = 10

    section = "pretrain."


def pretrain(
    model: Model,
    unlabelled: ClipSource,
    config: PretrainConfig,
    loop: Loop,
    log_scale: float = LOG_SCALE,
    background: Clips | None = None,
) -> Model:
    """Return a copy of `model`, pretrained by contrastive learning from the temperature exp(-`log_scale`)."""
    start = copied(model)
    backgrounds = background_loss(start, background, config.background, loop)
    return fit(Contrastive(start, log_scale, backgrounds), [unlabelled], config, loop)


def background_loss(model: Model, clips: Clips | None, weight: float, loop: Loop) -> Backgrounds | None:
    """Return the loss that keeps `clips`, features of backgrounds, apart; None without any."""
    if clips is None or not weight:
        return None
    torch.manual_seed(loop.seed)
    changed = augment(clips, model, loop.augment)
    return Backgrounds(changed, model.modalities, model.head.linear.in_features, weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig(Optimization):
    """Settings of the linear probe (Table 7, "Linear Probing"); the defaults are those of `digits`.

    Attributes:
        temperature: the trained logits are divided by it, which changes no ranking; 1 in the paper. A probe
            of few examples is far surer than it is right, and finetuning from such a head fits them by small
            changes of the encoders, so that a modality by itself learns late or never.
    """

    temperature: Annotated[float, (1, 100)] = 5.0
    steps: Count = 300
    batch: Size = 4096
    learning_rate: Amount = 1e-2
    warmup: Count = 30
    weight_decay: Amount = 1e-3

    section = "probe."


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig(Optimization):
    """Settings of finetuning, MASD and subset distillation (Table 7); the defaults are those of `digits`.

    Attributes:
        distillation: weight of the distillation loss; the task's loss has the rest (App. C: 0.5).
        background: weight of the loss that keeps backgrounds apart, in subset distillation; 0 for none.
    """

    steps: Count = 450
    batch: Size = 32
    learning_rate: Amount = 1e-3
    warmup: Count = 45
    clip: Amount = 1.0
    distillation: Share = 0.5
    background: Amount = 0.5

    section = "finetune."


@dataclass(frozen=True, slots=True)
class Start:
    """The start of every method; methods return a trained copy of `probed`, in evaluation mode."""

    probed: Model  # the linear probe of M_T
    labelled: ClipSource  # D_T
    train: Sequence[str]  # M_T
    config: FinetuneConfig
    loop: Loop

    def fit(self, objective: Objective, *unlabelled: ClipSource, some: bool = False) -> Model:
        """Minimize `objective` on the examples of D_T with all (or some) of M_T, and on unlabelled ones."""
        labelled = self.labelled.having(self.train, some=some)
        return fit(objective, [labelled, *unlabelled], self.config, self.loop)


def linear_probe(
    model: Model, embedded: Clips, train: Sequence[str], config: ProbeConfig, seed: int = 0
) -> Model:
    """Return a copy of `model` with a new head, trained on pooled embeddings [N, d] of `train` (M_T)."""
    clips = embedded.having(train)
    pooled, targets = torch.stack(list(clips.inputs.values())).mean(dim=0), clips.targets
    assert targets is not None  # noqa: S101 - labelled, by its name
    steps, order = config.length(len(clips)), BatchOrder(len(clips), config.batch, seed)
    probed = copied(model)
    probed.head = head = Head(pooled.shape[1], len(model.description.labels))
    adamw = optimizer(head, config)
    for step, rows in enumerate(order.between(0, steps)):
        set_rate(adamw, config.rate(step, steps))
        adamw.zero_grad()
        task_loss(head(pooled[rows]), targets[rows], model.description.task).backward()
        nn.utils.clip_grad_norm_(head.parameters(), config.clip or math.inf)
        adamw.step()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.div_(config.temperature)
    return probed.eval()


def finetune(start: Start) -> Model:
    """Train the whole model on the labels of M_T (Sec. 4.2)."""
    return start.fit(LabelledTask(copied(start.probed), start.train))


def masd(start: Start, unlabelled: ClipSource) -> Model:
    """Train the whole model by MASD (Eq. 8); M_T lacks some modality, which is the student (Table 9)."""
    objective = Distillation(copied(start.probed), start.train, start.config.distillation)
    return start.fit(objective, unlabelled.having(start.probed.modalities))


def distill_subsets(
    start: Start, unlabelled: ClipSource, teacher: Model, background: Clips | None = None
) -> Model:
    """Train the whole model by subset distillation, on the examples of D_SD that have every modality."""
    taught = teach(teacher, unlabelled.having(start.probed.modalities), start.loop)
    return learn_subsets(start, taught, background)


def learn_subsets(start: Start, taught: ClipSource, background: Clips | None = None) -> Model:
    """Train the whole model on labels and on a teacher's probabilities, the targets of `taught`.

    With captions, there is no mixup: it leaves token ids alone, so the subset of captions would be taught the
    label of another example. `background` holds features of windows that show none of the classes.
    """
    loop, config = start.loop, start.config
    if start.probed.description.tokenized:
        loop = replace(loop, augment=replace(loop.augment, mixup=0.0))
    model = copied(start.probed)
    backgrounds = background_loss(model, background, config.background, loop)
    objective = SubsetDistillation(model, start.train, config.distillation, backgrounds)
    return replace(start, loop=loop).fit(objective, taught, some=True)
