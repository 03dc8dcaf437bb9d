"""The linear student: one linear head reads what frozen encoders say, and learns from every labelled example.

Of a few hundred examples, adapters know by heart what frozen encoders say of them, whatever teaches them. A
linear classifier with much decay does not, and keeps nothing from `calibrate` but its decay and temperature:
it learns from that split, too. What is fitted to `calibrate` afterwards must not see that it did, so export
fits classifiers anew that leave each example's group out (`sensemble_export.measuring.calibration`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from sensemble_runtime.bundle.manifest import Task
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.recipe.linear import Decay, choose_decay, fit_linear, nothing_left_out

COMPONENTS = 384  # of sound, 128 leave five points of accuracy behind
_FLAT = 1e-6  # the least deviation of a feature that says something


@torch.no_grad()
def principal(features: Tensor, count: int, *, even: bool = False) -> nn.Linear:
    """Return the map of features [N, F] of unit length to their first principal components [N, count].

    One factor for all gives these a mean square length of 1. If `even`, each feature is first divided by its
    deviation.
    """
    unit = normalize(features.double())
    mean = unit.mean(dim=0)
    deviation = unit.std(dim=0).clamp(min=_FLAT) if even else torch.ones_like(mean)
    x = (unit - mean) / deviation
    variances, directions = torch.linalg.eigh(x.T @ x / len(x))
    scale = variances[-count:].clamp(min=0).sum().clamp(min=1e-12).sqrt() * deviation
    kept = directions[:, -count:].T / scale
    reduce = nn.Linear(features.shape[1], count)
    reduce.weight.copy_(kept)
    reduce.bias.copy_(-kept @ mean)
    return reduce


@dataclass(frozen=True, slots=True)
class _Reading:
    """A map to components, these of what is known and of what is held out [N, 1, F'], and the best decay."""

    reduce: nn.Linear
    known: Tensor
    held: Tensor
    decay: Decay

    @classmethod
    def of(
        cls, features: Sequence[Tensor], truth: Sequence[Tensor], classes: int, task: Task, *, even: bool
    ) -> "_Reading":
        """Read what is known and what is held out, of features [N, F] and labels each."""
        reduce = principal(features[0], min(COMPONENTS, features[0].shape[1]), even=even)
        with torch.no_grad():
            known, held = (reduce(normalize(some))[:, None] for some in features)
        return cls(reduce, known, held, choose_decay(known, truth[0], held, truth[1], classes, task))


def linear_student(model: Model, train: Clips, calibrate: Clips) -> Model:
    """Return a model of the frozen encoders of `model` with a linear head.

    The clips are features [N, V, F], of which the first view counts. Each modality's decay and temperature,
    and whether its features count evenly, are those by which the labels of `calibrate` are likeliest after
    `train`; then the classifier learns from both. The mean of the embeddings (Eq. 7) gives the mean of the
    classifiers' logits, each over its temperature: a sensor that knows little says little.
    """
    described, end = model.description, 0
    classes, task = len(described.labels), described.task
    configs, maps, weights = {}, {}, list[Tensor]()
    for m in model.modalities:
        known, held = train.having((m,)), calibrate.having((m,))
        truth, others = known.targets, held.targets
        assert truth is not None  # noqa: S101 - those of D_T
        assert others is not None  # noqa: S101 - those of `calibrate`
        read = [one.inputs[m][:, 0] for one in (known, held)]
        tried = [_Reading.of(read, [truth, others], classes, task, even=even) for even in (False, True)]
        best = min(tried, key=lambda one: one.decay.loss)
        both, every = torch.cat([best.known, best.held]), torch.cat([truth, others])
        fitted = fit_linear(both, every, nothing_left_out(both), classes, task, decay=best.decay.decay)
        weights.append(torch.cat([fitted.weight, fitted.bias[:, None]], dim=1) / best.decay.temperature)
        maps[m], size = best.reduce, best.reduce.out_features
        configs[m] = replace(described.configs[m], place=end, components=size, decay=best.decay.decay)
        end += size + 1
    configs = {m: replace(config, embedding=end) for m, config in configs.items()}
    student = Model(replace(described, configs=configs), model.tokenizer)
    with torch.no_grad():
        for m, reduce in maps.items():
            student.encoders[m].adapter.reduce.load_state_dict(reduce.state_dict())  # type: ignore[union-attr]
        student.head.linear.weight.copy_(torch.cat(weights, dim=1))
        student.head.linear.bias.zero_()
    return student.eval()
