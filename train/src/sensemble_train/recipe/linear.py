"""Linear classifiers of one modality's features, calibrated on groups that they were not fitted on."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.auditing.calibration import familiar_limit, fit_temperature
from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.media.dataset import Example
from torch import Tensor

from sensemble_train.objectives.task import task_loss
from sensemble_train.training.optim import minimize

DECAYS = 0.01, 0.03, 0.1, 0.3  # of which `calibrate` chooses
FOLDS = 10  # of the groups
DECAY = 1e-2  # weight of the squares of a classifier's weights, next to the mean loss


def group_folds(examples: Sequence[Example]) -> Tensor:
    """Return the fold of each example, int64 [N]: each group goes where its classes have the fewest."""
    labels: dict[str, set[str]] = {}
    for e in examples:
        labels.setdefault(e.group or e.id, set()).update(e.labels)
    dealt: Counter[tuple[str, int]] = Counter()
    found: dict[str, int] = {}
    for group in sorted(labels):
        found[group] = min(range(FOLDS), key=lambda fold: sum(dealt[name, fold] for name in labels[group]))
        dealt.update((name, found[group]) for name in labels[group])
    return torch.tensor([found[e.group or e.id] for e in examples])


@dataclass(frozen=True, slots=True)
class LinearFit:
    """A calibrated linear classifier of one modality's features."""

    weight: Tensor  # float32 [C, F], over the temperature
    bias: Tensor  # float32 [C], over the temperature
    temperature: float
    left_out: Tensor  # float32 [N, C], logits by classifiers that were fitted without the example's fold
    without_class: Tensor  # float32 [N, C], likewise without the examples of its class


def fit_linear(
    features: Tensor,
    truth: Tensor,
    folds: Tensor,
    classes: int,
    task: Task,
    own: Tensor | None = None,
    decay: float = DECAY,
) -> LinearFit:
    """Fit a linear classifier to one modality's features, and its temperature to examples left out.

    `features` are float32 [N, V, F] of V views, the unchanged one first; `truth` is as `Clips.targets`;
    `folds` are int64 [N], one for all examples of a group, and `own` are their classes, to be left out in
    turn; what has a negative one is never left out.
    """
    # The weights lie in the span of the features, which has few dimensions where takes are few.
    mean = features.mean(dim=(0, 1))
    basis = torch.linalg.qr((features - mean).flatten(0, 1).T)[0]
    x = (features - mean) @ basis

    def left_out(parts: Tensor | None) -> Tensor:
        logits = torch.zeros(len(x), classes)
        for part in () if parts is None else parts[parts >= 0].unique():
            held = parts == part
            weight, bias = _classifier(x[~held], truth[~held], len(basis), classes, task, decay)
            logits[held] = x[held, 0] @ weight.T + bias
        return logits

    logits, shown = left_out(folds), folds >= 0
    temperature = fit_temperature(logits[shown].numpy(), truth[shown].numpy(), task, least=1)
    weight, bias = _classifier(x, truth, len(basis), classes, task, decay)
    slopes = weight @ basis.T / temperature
    bias = bias / temperature - slopes @ mean
    return LinearFit(slopes, bias, temperature, logits / temperature, left_out(own) / temperature)


def nothing_left_out(features: Tensor) -> Tensor:
    """Return folds, int64 [N], by which `fit_linear` leaves no example out."""
    return torch.full((len(features),), -1)


class Decay(NamedTuple):
    """A decay, and the temperature and the loss of labels held out by it."""

    loss: float
    decay: float
    temperature: float


def choose_decay(
    known: Tensor, truth: Tensor, held: Tensor, others: Tensor, classes: int, task: Task
) -> Decay:
    """Return the one of `DECAYS`, and a temperature, by which labels held out are likeliest.

    The classifier learns from features [N, V, F] and labels as `fit_linear` does, and is judged by the first
    view of `held` [M, V, F] and the labels `others`.
    """
    best = Decay(math.inf, 0.0, 1.0)
    for decay in DECAYS:
        fitted = fit_linear(known, truth, nothing_left_out(known), classes, task, decay=decay)
        logits = held[:, 0] @ fitted.weight.T + fitted.bias
        temperature = fit_temperature(logits.numpy(), others.numpy(), task)
        best = min(best, Decay(float(task_loss(logits / temperature, others, task)), decay, temperature))
    return best


@dataclass(frozen=True, slots=True)
class LinearScore:
    """A score of one modality's features, known against none of the classes; 0 where never left out."""

    weights: Tensor  # float32 [F + 1], the bias behind the others
    limit: float  # the least score of a familiar window
    of_known: Tensor  # float32 [N], the scores by a fit without the window's fold
    of_other: Tensor  # float32 [M], likewise, of windows of none of the classes
    of_class: Tensor  # float32 [N], the scores by a fit without the window's class


def fit_familiarity(
    known: Tensor,
    other: Tensor,
    folds: Tensor,
    groups: NDArray[np.integer],
    other_folds: Tensor,
    classes: Tensor | None = None,
) -> LinearScore:
    """Fit the score to features [N, V, F] of known windows and [M, V, F] of others; see `fit_linear`."""
    truth = torch.cat([torch.zeros(len(known), dtype=torch.int64), torch.ones(len(other), dtype=torch.int64)])
    every = torch.cat([folds, other_folds])
    apart = None if classes is None else torch.cat([classes, torch.full_like(other_folds, -1)])
    found = fit_linear(torch.cat([known, other]), truth, every, 2, "multi-class", apart)
    weights = torch.cat([found.weight, found.bias[:, None]], dim=1)
    scores, without = (x[:, 0] - x[:, 1] for x in (found.left_out, found.without_class))
    limit = familiar_limit(scores[: len(known)].numpy(), groups)
    return LinearScore(
        weights[0] - weights[1], limit, scores[: len(known)], scores[len(known) :], without[: len(known)]
    )


def _classifier(
    x: Tensor, truth: Tensor, size: int, classes: int, task: Task, decay: float
) -> tuple[Tensor, Tensor]:
    """Fit a linear classifier with weight decay; return its weight [C, R] and its bias [C].

    `x` is float32 [N, V, R], V views in an orthonormal basis of their span, of `size` features. All features
    are centred and have one scale: scaling each by itself would amplify features in which a few takes agree
    by chance. From two takes of a digit, other people's digits are then right 10 points less often (FSDD).
    """
    views = x.shape[1]
    x, truth = x.flatten(0, 1), truth.repeat_interleave(views, dim=0)
    mean = x.mean(dim=0)
    scale = ((x - mean).square().sum(dim=1).mean() / size).sqrt()
    x = (x - mean) / scale
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)

    def loss() -> Tensor:
        return task_loss(x @ weight.T + bias, truth, task) + decay * weight.square().sum()

    minimize(loss, [weight, bias])
    slopes = weight.detach() / scale
    return slopes, bias.detach() - slopes @ mean
