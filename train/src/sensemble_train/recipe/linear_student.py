"""The linear student: one linear head reads what frozen encoders say, and learns from every labelled example.

Of a few hundred examples, adapters know by heart what frozen encoders say of them, whatever teaches them. A
linear classifier with much decay does not, and keeps nothing from `calibrate` but its decay and temperature:
it learns from that split, too. What is fitted to `calibrate` afterwards must not see that it did, so export
fits classifiers anew that leave each example's group out (`sensemble_export.measuring.calibration`).
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.recipe.linear import choose_decay, fit_linear, nothing_left_out

COMPONENTS = 384  # of sound, 128 leave five points of accuracy behind


@torch.no_grad()
def principal(features: Tensor, count: int) -> nn.Linear:
    """Return the map of features [N, F] of unit length to their first principal components [N, count].

    One factor for all gives these a mean square length of 1.
    """
    unit = normalize(features.double())
    mean = unit.mean(dim=0)
    variances, directions = torch.linalg.eigh((unit - mean).T @ (unit - mean) / len(unit))
    kept = directions[:, -count:].T / variances[-count:].clamp(min=0).sum().clamp(min=1e-12).sqrt()
    reduce = nn.Linear(features.shape[1], count)
    reduce.weight.copy_(kept)
    reduce.bias.copy_(-kept @ mean)
    return reduce


def linear_student(model: Model, train: Clips, calibrate: Clips) -> Model:
    """Return a model of the frozen encoders of `model` with a linear head.

    The clips are features [N, V, F], of which the first view counts. Each modality's decay and temperature
    are those by which the labels of `calibrate` are likeliest after `train`; then the classifier learns from
    both. The mean of the embeddings (Eq. 7) gives the mean of the classifiers' logits, each over its
    temperature: a sensor that knows little says little.
    """
    described, end = model.description, 0
    classes, task = len(described.labels), described.task
    configs, maps, weights = {}, {}, list[Tensor]()
    for m in model.modalities:
        known, held = train.having((m,)), calibrate.having((m,))
        truth, others = known.targets, held.targets
        assert truth is not None  # noqa: S101 - those of D_T
        assert others is not None  # noqa: S101 - those of `calibrate`
        size = min(COMPONENTS, known.inputs[m].shape[2])
        maps[m] = principal(known.inputs[m][:, 0], size)
        with torch.no_grad():
            x, shown = (maps[m](normalize(one.inputs[m][:, :1], dim=2)) for one in (known, held))
        decay, temperature = choose_decay(x, truth, shown, others, classes, task)
        both, every = torch.cat([x, shown]), torch.cat([truth, others])
        fitted = fit_linear(both, every, nothing_left_out(both), classes, task, decay=decay)
        weights.append(torch.cat([fitted.weight, fitted.bias[:, None]], dim=1) / temperature)
        configs[m] = replace(described.configs[m], place=end, components=size, decay=decay)
        end += size + 1
    configs = {m: replace(config, embedding=end) for m, config in configs.items()}
    student = Model(replace(described, configs=configs), model.tokenizer)
    with torch.no_grad():
        for m, reduce in maps.items():
            student.encoders[m].adapter.reduce.load_state_dict(reduce.state_dict())  # type: ignore[union-attr]
        student.head.linear.weight.copy_(torch.cat(weights, dim=1))
        student.head.linear.bias.zero_()
    return student.eval()
