"""Lessons that small encoders learn from a trained model of larger ones, such as pretrained encoders.

In place of contrastive learning, each encoder learns to embed as the teacher's does; in place of specialists,
the teacher says what each subset of sensors should answer. Neither needs a label.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from sensemble_runtime.subsets import measured
from torch import Tensor

from sensemble_train.data.clips import Clips, ClipSource, joined
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.model import Model, copied, load_model
from sensemble_train.objectives.imitation import Imitation
from sensemble_train.objectives.subset_distillation import pooled_logits
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.evaluate import embed
from sensemble_train.recipe.examples import Chosen, decoded
from sensemble_train.recipe.job import TrainingJob
from sensemble_train.recipe.methods import background_loss
from sensemble_train.training.loop import Loop, fit


@dataclass(frozen=True, slots=True)
class Lessons:
    """Examples as the student's encoders see them, with the teacher's answers as targets."""

    embedded: Clips  # with the teacher's embeddings, float32 [N, M, d]
    answered: Clips  # unlabelled ones with every modality, and its answer of each subset, float32 [N, S, C]


def load_teacher(config: Config, student: Model) -> Model:
    """Load the model that `config.teacher` names.

    Raises:
        ConfigurationError: it has other classes, modalities or sizes than the student.
    """
    teacher = load_model(Path(config.teacher))
    for what, own, its in (
        ("list of classes", student.description.labels, teacher.description.labels),
        ("list of modalities", student.modalities, teacher.modalities),
        ("size of an embedding", student.head.linear.in_features, teacher.head.linear.in_features),
    ):
        if own != its:
            raise ConfigurationError(
                f"--teacher {config.teacher}: its {what} is {its}, and that of {config.data} "
                f"is {own}; train a teacher on this dataset"
            )
    return teacher


def lessons(job: TrainingJob, teacher: Model, chosen: Chosen, sources: Mapping[str, ClipSource]) -> Lessons:
    """Let the teacher read the examples `pretrain` and `train`; `sources` are the student's view of them."""
    parts = []
    for use in ("pretrain", "train"):
        features, name = sources[use], f"{use} for the teacher"
        assert isinstance(features, Clips)  # noqa: S101 - the recipe's examples are in memory
        shown = decoded(job.config, teacher, name, chosen[use], job.report)
        (embedded,) = embed(shown, job.loop(f"embed {name}"), teacher)
        embeddings = torch.stack([embedded.inputs[m] for m in teacher.modalities], dim=1)
        parts.append(replace(features, targets=embeddings))
    known = parts[0].having(teacher.modalities)
    assert known.targets is not None  # noqa: S101 - the embeddings
    return Lessons(joined(parts), replace(known, targets=_answers(teacher, known.targets)))


@torch.no_grad()
def _answers(teacher: Model, embedded: Tensor) -> Tensor:
    """Return what a student should answer for each subset, float32 [N, S, C].

    It lies halfway, in logarithms, between what the teacher answers of the subset and of all modalities: a
    sensor that is taught what it cannot know memorizes its examples.
    """
    by_name = dict(zip(teacher.modalities, embedded.unbind(dim=1), strict=True))
    logits = pooled_logits(teacher, by_name, measured(teacher.modalities))
    if teacher.description.task == "multi-class":
        logits = logits.log_softmax(dim=-1)
        return ((logits + logits[-1:]) / 2).softmax(dim=-1).transpose(0, 1)
    return ((logits + logits[-1:]) / 2).sigmoid().transpose(0, 1)


def imitate(model: Model, embedded: Clips, config: Config, loop: Loop, background: Clips | None) -> Model:
    """Return a copy of `model` whose encoders embed as the teacher's do; raises as `fit`."""
    student = copied(model)
    backgrounds = background_loss(student, background, config.pretrain.background, loop)
    unmixed = replace(loop, augment=replace(loop.augment, mixup=0.0))
    return fit(Imitation(student, backgrounds), [embedded], config.pretrain, unmixed)
