"""Lessons that small encoders learn from a trained model of larger ones, such as pretrained encoders.

In place of contrastive learning, each encoder learns to embed as the teacher's does; in place of specialists,
the teacher says what each subset of sensors should answer. Neither needs a label.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from sensemble_runtime.subsets import measured
from torch import Tensor

from sensemble_train.data.clips import Clips
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.model import Model, load_model
from sensemble_train.objectives.imitation import Imitation
from sensemble_train.objectives.subset_distillation import pooled_logits
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.evaluate import BATCH
from sensemble_train.recipe.pretrain import background_loss
from sensemble_train.training.loop import Loop, fit

IMITATED = "pretrain", "train"
"""The uses of examples that a student imitates its teacher on."""


class Lessons:
    """A trained model, and its embeddings and answers of a dataset's examples.

    Attributes:
        teacher: the model that `config.teacher` names.
    """

    def __init__(self, config: Config) -> None:
        self.config, self.teacher = config, load_model(Path(config.teacher))
        # By use: the student's features, with the teacher's embeddings [N, M, d] as targets.
        self._learned: dict[str, Clips] = {}

    def check(self, student: Model) -> None:
        """Raise ConfigurationError if the teacher has other classes, modalities or sizes than the student."""
        for what, own, its in (
            ("list of classes", student.description.labels, self.teacher.description.labels),
            ("list of modalities", student.modalities, self.teacher.modalities),
            ("size of an embedding", _size(student), _size(self.teacher)),
        ):
            if own != its:
                raise ConfigurationError(
                    f"--teacher {self.config.teacher}: its {what} is {its}, and that of {self.config.data} "
                    f"is {own}; train a teacher on this dataset"
                )

    def add(self, use: str, features: Clips, shown: Clips) -> None:
        """Let the teacher read the examples of one use.

        Args:
            use: one of `IMITATED`.
            features: the examples as the student's encoders see them.
            shown: the same ones as the teacher's see them.
        """
        self._learned[use] = replace(features, targets=_embeddings(self.teacher, shown))

    def answered(self) -> Clips:
        """Return the unlabelled examples with every modality, and the teacher's answer of each subset."""
        known = self._learned["pretrain"].having(self.teacher.modalities)
        return replace(known, targets=_answers(self.teacher, known.targets))

    def imitated(self, model: Model, background: Clips | None, loop: Loop) -> Model:
        """Return a copy of `model` whose encoders imitate the teacher's; raises as `fit`."""
        student, config = copy.deepcopy(model), self.config.pretrain
        apart = background_loss(student, background, config.background, loop)
        unmixed = replace(loop, augment=replace(loop.augment, mixup=0.0))
        return fit(Imitation(student, apart), [_joined(list(self._learned.values()))], config, unmixed)


def _size(model: Model) -> int:
    return model.head.linear.in_features


@torch.no_grad()
def _embeddings(teacher: Model, features: Clips) -> Tensor:
    """Return the teacher's embeddings, float32 [N, M, d]; those of an absent modality mean nothing."""
    batches = torch.arange(len(features)).split(BATCH)
    parts = [teacher.embed(features.take(rows).inputs) for rows in batches]
    return torch.cat([torch.stack([part[m] for m in teacher.modalities], dim=1) for part in parts])


@torch.no_grad()
def _answers(teacher: Model, embedded: Tensor | None) -> Tensor:
    """Return what a student should answer for each subset, float32 [N, S, C].

    It lies halfway, in logarithms, between what the teacher answers of the subset and of all modalities: a
    sensor that is taught what it cannot know memorizes its examples.
    """
    assert embedded is not None  # noqa: S101 - those of the lessons
    by_name = dict(zip(teacher.modalities, embedded.unbind(dim=1), strict=True))
    logits = pooled_logits(teacher, by_name, measured(teacher.modalities))
    if teacher.description.task == "multi-class":
        logits = logits.log_softmax(dim=-1)
        return ((logits + logits[-1:]) / 2).softmax(dim=-1).transpose(0, 1)
    return ((logits + logits[-1:]) / 2).sigmoid().transpose(0, 1)


def _joined(parts: Sequence[Clips]) -> Clips:
    modalities = tuple(parts[0].inputs)
    inputs, present = (
        {m: torch.cat([each[m] for each in some]) for m in modalities}
        for some in ([p.inputs for p in parts], [p.present for p in parts])
    )
    return Clips(inputs, present, torch.cat([p.targets for p in parts if p.targets is not None]))
