"""Familiarity: how much a window is like those that its encoder was trained on, linear in its embedding.

score = w . e + b is the log-odds that a window is known rather than background, by a logistic regression on
the embeddings of the model as it ships. It exists for every dataset, because each kind of modality generates
backgrounds of its own; those of the dataset join them. So do windows that its conditions degrade so far that
the classifier takes them for another class: a covered camera is then no better than none. What is learned
from some conditions holds for others (each left out in turn, the digits' encoders).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.progress import Progress, no_progress
from sensemble_sensors.conditioned import begin, captured, degraded_window
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.conditions.condition import SEVERITIES, Applied, swapped
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_train.data.batching import seeded
from sensemble_train.data.choice import unlabelled
from sensemble_train.data.clips import as_input, targets
from sensemble_train.models.augment_config import DERIVED
from sensemble_train.models.kinds.registry import kind_of as train_kind
from sensemble_train.models.model import Model
from torch import Tensor

from sensemble_export.examples import spread

KNOWN = 1000
"""The most known examples that familiarity is fitted to."""
SYNTHETIC = 400
"""Synthetic backgrounds of each modality."""
PENALTY = 1e-4
"""Weight of the squared length of w, next to the mean loss of an example."""
DEGRADED = 600
"""Degraded windows of each modality, of which the misclassified ones count."""
_SEVERE = SEVERITIES[2:]
_CLOSE = 1e-8  # largest entry of the gradient at which Newton's method has converged

Embeddings = Mapping[str, NDArray[np.floating]]


def fit(known: Embeddings, background: Embeddings) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit a logistic regression per modality, known against background, in which both weigh the same.

    Embeddings are [N, d], of unit length.

    Returns:
        `weight` float32 [n, d] and `bias` float32 [n], of the modalities in sorted order. A window is the
        more familiar, the higher weight . embedding + bias.

    Raises:
        ValueError: the two have not the same modalities, or one has no embedding.
    """
    if known.keys() != background.keys():
        raise ValueError(f"known embeddings of {sorted(known)}, backgrounds of {sorted(background)}")
    rows = [_logistic(known[m], background[m]) for m in sorted(known)]
    weight, bias = zip(*rows, strict=True)
    return np.stack(weight).astype(np.float32), np.array(bias, np.float32)


def _logistic(known: NDArray[np.floating], other: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Minimize the mean logistic loss of both sides, PENALTY * |w|^2 added; the bias is free."""
    if not len(known) or not len(other):
        raise ValueError(f"{len(known)} known and {len(other)} background embeddings; both are needed")
    from sklearn.linear_model import LogisticRegression  # importing takes seconds

    sides = np.repeat([1, 0], [len(known), len(other)])
    shares = np.repeat([0.5 / len(known), 0.5 / len(other)], [len(known), len(other)])
    model = LogisticRegression(C=0.5 / PENALTY, solver="newton-cholesky", tol=_CLOSE)
    model.fit(np.concatenate([known, other]).astype(np.float64), sides, shares)
    return model.coef_[0], float(model.intercept_[0])


def known_examples(dataset: Dataset, modality: str) -> list[Example]:
    """Return examples with `modality` that were trained on: labelled and unlabelled ones, evenly spaced."""
    trained = dict.fromkeys((*dataset.split("train"), *unlabelled(dataset)))
    return spread([example for example in trained if modality in example.modalities], KNOWN)


def varied(model: Model, modality: str, windows: Tensor) -> Tensor:
    """Return known windows [N, ...], every second one changed at random as training changes them.

    A sensor may be cleaner than those of the dataset: of people's digits, spoken in silence at full level, a
    tenth were unfamiliar without (`live_voices.py`).
    """
    kind, found = train_kind(model.description.specs[modality]), windows.clone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if len(found) > 1:
            found[1::2] = kind.change(windows[1::2], DERIVED, model.tokenizer)
    return found


def background_examples(dataset: Dataset, modality: str) -> list[Example]:
    """Return the backgrounds of training with `modality`; those of `calibrate` and `eval` are held out."""
    trained: Sequence[Example] = (*dataset.background("train"), *dataset.background("pretrain"))
    return [example for example in trained if modality in example.modalities]


def degraded(
    model: Model, dataset: Dataset, modality: str, progress: Progress = no_progress
) -> tuple[Tensor, Tensor]:
    """Return raw windows [N, ...] of labelled training examples, degraded, and their targets.

    The examples take turns in the conditions of the kind and the upper severities. `swapped` is left out: it
    shows a window as good as any.
    """
    described = model.description
    spec = described.specs[modality]
    kind = kind_of(spec)
    chosen = [
        Applied(modality, condition, severity)
        for severity in _SEVERE
        for condition in kind.conditions
        if condition.degradation is not swapped
    ]
    labelled = [example for example in dataset.split("train") if modality in example.modalities]
    turns = cycle([(begin([one], spec), captured([one], spec)) for one in chosen])
    examples, windows = list[Example](), list[Tensor]()
    some = spread(labelled, DEGRADED) if chosen else []
    for done, (example, (degrade, form)) in enumerate(zip(some, turns, strict=False), start=1):
        with suppress(BadDataError):  # training skipped it too, and said so
            window = degraded_window(kind.samples(example, form, 0.0), spec, degrade)
            examples.append(example)
            windows.append(as_input(window, spec, model.tokenizer))
        progress(done, len(some))
    truth = targets(examples, described.labels, described.task)
    if truth is None or not windows:
        return torch.zeros(0, *spec.shape[1:]), torch.zeros(0, dtype=torch.int64)
    return torch.cat(windows), truth


def synthetic(model: Model, modality: str, count: int = SYNTHETIC) -> Tensor:
    """Return raw windows [count, ...] that show nothing that is known, as the kind of `modality` makes them.

    They are others than those that training sees, and the same each time.
    """
    spec, config = model.description.specs[modality], model.description.configs[modality]
    draw = seeded("familiarity", modality)
    return train_kind(spec).backgrounds(spec, config, count, draw)


@torch.no_grad()
def embed(model: Model, modality: str, windows: Tensor) -> NDArray[np.float32]:
    """Return the float embeddings [N, d] of raw windows [N, ...]."""
    encoder = model.encoders[modality].eval()
    found: NDArray[np.float32] = torch.cat([encoder(part) for part in windows.split(64)]).numpy()
    return found
