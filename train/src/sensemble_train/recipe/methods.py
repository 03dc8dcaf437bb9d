"""Downstream training: probe, finetuning, MASD (paper, Sec. 4.2 and App. C), and subset distillation."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from sensemble_train.data.batching import BatchOrder
from sensemble_train.data.clips import Clips, Source
from sensemble_train.field_checks import MORE, SHARE, bounded
from sensemble_train.models.model import Head, Model
from sensemble_train.objectives.distillation import Distillation
from sensemble_train.objectives.subset_distillation import SubsetDistillation
from sensemble_train.objectives.task import Task, task_loss
from sensemble_train.recipe.background_loss import background_loss
from sensemble_train.recipe.teacher import teach
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization, optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig(Optimization):
    """Settings of the linear probe (Table 7, "Linear Probing"); the defaults are those of `digits`.

    Attributes:
        temperature: the trained logits are divided by it, which changes no ranking; 1 in the paper. A probe
            of few examples is far surer than it is right, and finetuning from such a head fits them by small
            changes of the encoders, so that a modality by itself learns late or never.
    """

    temperature: float = 5.0
    steps: int = 300
    batch: int = 4096
    learning_rate: float = 1e-2
    warmup: int = 30
    weight_decay: float = 1e-3

    section = "probe."

    def __post_init__(self) -> None:
        Optimization.__post_init__(self)  # with slots, `super()` would name the class before its decorator
        bounded(self, self.section, temperature=(1, 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneConfig(Optimization):
    """Settings of finetuning, MASD and subset distillation (Table 7); the defaults are those of `digits`.

    Attributes:
        distillation: weight of the distillation loss; the task's loss has the rest (App. C: 0.5).
        alpha: weight of the trained model in WiSE-FT (Sec. 4.2.2: 0.75).
        background: weight of the loss that keeps backgrounds apart, in subset distillation; 0 for none.
    """

    steps: int = 450
    batch: int = 32
    learning_rate: float = 1e-3
    warmup: int = 45
    clip: float = 1.0
    distillation: float = 0.5
    alpha: float = 0.75
    background: float = 0.5

    section = "finetune."

    def __post_init__(self) -> None:
        Optimization.__post_init__(self)  # with slots, `super()` would name the class before its decorator
        bounded(self, self.section, distillation=SHARE, alpha=SHARE, background=(0, MORE))


def linear_probe(
    model: Model, embedded: Clips, train: Sequence[str], config: ProbeConfig, seed: int = 0
) -> Model:
    """Train a classifier on the frozen, pooled embeddings of the modalities `train` (M_T).

    The head's BatchNorm takes the statistics of these embeddings (App. C).

    Args:
        model: the model whose encoders made the embeddings; it is copied.
        embedded: the labelled examples, each modality's embeddings [N, d] in place of its inputs.
        train: M_T; examples that lack one of them are left out.
        config: settings of the optimizer.
        seed: decides the batches.

    Returns:
        A copy of `model` with a new head, trained, in evaluation mode.

    Raises:
        ConfigurationError: fewer than two examples have all of `train`.
    """
    clips = embedded.having(train)
    pooled, targets = torch.stack(list(clips.inputs.values())).mean(dim=0), clips.targets
    assert targets is not None  # noqa: S101 - labelled, by its name
    steps, order = config.length(len(clips)), BatchOrder(len(clips), config.batch, seed)
    probed = copy.deepcopy(model)
    probed.head = head = Head(pooled.shape[1], len(model.description.labels))
    adamw = optimizer(head.parameters(), config)
    for step, rows in enumerate(order.between(0, steps)):
        for group in adamw.param_groups:
            group["lr"] = config.rate(step, steps)
        adamw.zero_grad()
        task_loss(head(pooled[rows]), targets[rows], model.description.task).backward()
        nn.utils.clip_grad_norm_(head.parameters(), config.clip or math.inf)
        adamw.step()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.div_(config.temperature)
    return probed.eval()


def finetune(
    probed: Model,
    labelled: Source,
    train: Sequence[str],
    config: FinetuneConfig,
    loop: Loop,
) -> Model:
    """Train the whole model from the probe on the labels of M_T (Sec. 4.2).

    Args:
        probed: the linear probe for `train`; it is copied.
        labelled: D_T; examples that lack one of `train` are left out.
        train: M_T.
        config: settings of the optimizer.
        loop: folder, seed, scale and ranks.

    Returns:
        The trained model, in evaluation mode.

    Raises:
        ConfigurationError, CheckpointError: as `fit`.
    """
    return fit(Task(copy.deepcopy(probed), train), [labelled.having(train)], config, loop)


def masd(
    probed: Model,
    labelled: Source,
    train: Sequence[str],
    config: FinetuneConfig,
    loop: Loop,
    unlabelled: Source,
) -> Model:
    """Train the whole model from the probe by MASD (Eq. 8).

    Args:
        probed: the linear probe for `train`; it is copied.
        labelled: D_T; examples that lack one of `train` are left out.
        train: M_T, a part of the modalities: without others, there is no student (Table 9).
        config: settings of the optimizer.
        loop: folder, seed, scale and ranks.
        unlabelled: D_SD; its examples with every modality are used.

    Returns:
        The trained model, in evaluation mode.

    Raises:
        ConfigurationError, CheckpointError: as `fit`.
    """
    objective = Distillation(copy.deepcopy(probed), train, config.distillation)
    return fit(objective, [labelled.having(train), unlabelled.having(probed.modalities)], config, loop)


def distill_subsets(
    probed: Model,
    labelled: Source,
    train: Sequence[str],
    config: FinetuneConfig,
    loop: Loop,
    unlabelled: Source,
    teacher: Model,
    inputs: Sequence[str],
    background: Clips | None = None,
) -> Model:
    """Train the whole model from the probe by subset distillation (`SubsetDistillation`).

    Nothing is mixed up where there are captions, as mixup leaves these alone: the subset of captions would be
    taught the label of another example.

    Args:
        probed: the linear probe for `train`; it is copied.
        labelled: D_T; each subset learns from the examples that have all of it.
        train: M_T.
        config: settings of the optimizer, those of finetuning.
        loop: folder, seed, scale and ranks.
        unlabelled: D_SD; its examples with every modality are used.
        teacher: the model to learn from, such as MASD's.
        inputs: the modalities that the teacher reads (`teacher.best_inputs`).
        background: features of windows that show none of the classes; None for none.

    Returns:
        The trained model, in evaluation mode.

    Raises:
        ConfigurationError, CheckpointError: as `fit`.
    """
    if probed.description.tokenized:
        loop = replace(loop, augment=replace(loop.augment, mixup=0.0))
    model = copy.deepcopy(probed)
    strange = background_loss(model, background, config.background, loop)
    objective = SubsetDistillation(model, train, config.distillation, strange)
    taught = teach(teacher, inputs, unlabelled.having(probed.modalities), loop)
    return fit(objective, [labelled.having(train, some=True), taught], config, loop)


def specialist(
    model: Model,
    embedded: Clips,
    labelled: Source,
    modality: str,
    probe: ProbeConfig,
    config: FinetuneConfig,
    loop: Loop,
) -> Model:
    """Return a copy of the pretrained `model`, probed and then finetuned for one modality alone.

    Args:
        model: the pretrained model.
        embedded: the labelled examples, embedded by it.
        labelled: the same examples as a source; those that lack the modality are left out.
        modality: the only one that is trained and should be used.
        probe: settings of the probe.
        config: settings of finetuning.
        loop: folder, seed, scale and ranks.

    Raises:
        ConfigurationError, CheckpointError: as `finetune`.
    """
    probed = linear_probe(model, embedded, (modality,), probe, loop.seed)
    return finetune(probed, labelled, (modality,), config, loop)
