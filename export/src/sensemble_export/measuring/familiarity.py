"""Familiarity: how much a window is like those that its encoder was trained on, by its embedding.

The score is the smaller of two. **Linear**: w . e + b, the log-odds that a window is known rather than
background, by a logistic regression. The backgrounds are the dataset's, those that each kind of modality
generates, and windows that conditions degrade so much that the classifier takes them for another class.
**Near**: the product of e with the nearest of some means of each class, which is low between and beside the
classes: half a word, two at once, an activity never learned. `BENCHMARKS.md` compares both with others.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.auditing.calibration import least
from sensemble_runtime.bundle.head import Familiarity
from sensemble_runtime.progress import Progress, no_progress
from sensemble_sensors.degraded import begin, captured, degraded_window
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.conditions.condition import SEVERITIES, Applied, swapped
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.streams import backgrounds, read_streams
from sensemble_sensors.spec import InputSpec
from sensemble_train.data.batching import at_once, seeded
from sensemble_train.data.clips import as_input, targets
from sensemble_train.data.trainable import unlabelled
from sensemble_train.models.augment_config import DERIVED
from sensemble_train.models.kinds.registry import kind_of as train_kind
from sensemble_train.models.model import Model
from torch import Tensor

from sensemble_export.measuring.examples import spread

KNOWN = 1000
"""The most known examples that familiarity is fitted to."""
SYNTHETIC = 400
"""Synthetic backgrounds of each modality."""
PENALTY = 1e-4
"""Weight of the squared length of w, next to the mean loss of an example."""
DEGRADED = 600
"""Degraded windows of each modality, of which the misclassified ones count."""
PER_CLASS = 8
"""Means of each class."""
MEANS = 512
"""Means of all classes at most, unless there are more classes."""
FAR, NEAR = 0.005, 0.02
"""Shares of known windows whose log-odds and nearness get the same score; so do their medians."""
FAR_OF_ONE = 0.02
"""The share of one person's windows that may be far, where it is a window."""
_LEAST = 1e-6
_SEVERE = SEVERITIES[2:]
_CLOSE = 1e-8  # largest entry of the gradient at which Newton's method has converged

Embeddings = Mapping[str, NDArray[np.floating]]


def fit(
    known: Embeddings,
    background: Embeddings,
    classes: Mapping[str, NDArray[np.integer]],
    count: int,
    held: Embeddings,
) -> Familiarity:
    """Fit the scores of each modality; embeddings are [N, d], of unit length.

    Args:
        known: windows that were trained on.
        background: what is not known; both sides weigh the same.
        classes: the class of each known window, [N] in [0, C).
        count: C.
        held: known windows that were not trained on, by which the two scores get one scale.

    Raises:
        ValueError: `known` and `background` have not the same modalities, or one has no embedding.
    """
    if known.keys() != background.keys():
        raise ValueError(f"known embeddings of {sorted(known)}, backgrounds of {sorted(background)}")
    per_class = max(1, min(PER_CLASS, MEANS // count))
    weights, biases, means, offsets = [], [], [], []
    for m in sorted(known):
        weight, bias = _logistic(known[m], background[m])
        own = _means(known[m], classes[m], count, per_class)
        shown = held[m] if len(held.get(m, ())) else known[m]
        zero, one = np.quantile(shown @ weight + bias, (FAR, 0.5))
        near, middle = np.quantile((shown @ own.reshape(-1, own.shape[2]).T).max(axis=1), (NEAR, 0.5))
        scale = (one - zero) / max(middle - near, _LEAST)
        weights.append(weight)
        biases.append(bias)
        means.append(own * scale)
        offsets.append(zero - near * scale)
    return Familiarity(*(np.array(each, np.float32) for each in (weights, biases, means, offsets)))


def _means(
    known: NDArray[np.floating], classes: NDArray[np.integer], count: int, per_class: int
) -> NDArray[np.float64]:
    """Return `per_class` means [C, p, d] of each class, of unit length; zeros for a class without windows."""
    from sklearn.cluster import KMeans

    found = np.zeros((count, per_class, known.shape[1]))
    for label in np.unique(classes):
        own = np.unique(known[classes == label], axis=0).astype(np.float64)
        several = KMeans(min(per_class, len(own)), n_init=1, random_state=0).fit(own).cluster_centers_
        unit = several / np.maximum(np.linalg.norm(several, axis=1, keepdims=True), _LEAST)
        found[label] = unit[np.arange(per_class) % len(unit)]
    return found


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


def stretched(
    scores: Familiarity, row: int, known: NDArray[np.floating], groups: NDArray[np.integer], limit: float
) -> Familiarity:
    """Return the same scores, where the log-odds of a modality have a limit of their own.

    Nearness tells people apart, so one unlike the others lowers `limit`, the least score of a familiar
    window, below what silence or a plain picture gets. By the log-odds, few known windows are as unlikely as
    those. So the log-odds that a share `FAR` of known windows is below, and `FAR_OF_ONE` of any group, become
    `limit`, if they are above it; their median stays.

    Args:
        scores: of all modalities.
        row: the modality's.
        known: embeddings [N, d] of known windows that were not trained on; too few change nothing.
        groups: by way of grouping, the group of each, integers [K, N].
        limit: the least score of a familiar window.
    """
    odds = scores.log_odds(row, np.asarray(known, np.float32))
    if FAR * len(odds) < 1:
        return scores
    own = min(least(odds, FAR, FAR_OF_ONE, way) for way in groups)
    middle = float(np.median(odds))
    if not limit < own < middle:
        return scores
    scale = (middle - limit) / (middle - own)
    weight, bias = scores.weight.copy(), scores.bias.copy()
    weight[row], bias[row] = scale * weight[row], limit + scale * (bias[row] - own)
    return replace(scores, weight=weight, bias=bias)


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


def background_examples(dataset: Dataset, spec: InputSpec) -> list[Example]:
    """Return the backgrounds of training with a modality; those of `calibrate` and `eval` are held out.

    They include windows of its streams in which nothing appears.
    """
    trained: Sequence[Example] = (*dataset.background("train"), *dataset.background("pretrain"))
    own = [example for example in trained if spec.modality in example.modalities]
    return own + backgrounds(read_streams(dataset.folder), {spec.modality: spec}, "train")


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
    parts = windows.split(at_once(windows))
    found: NDArray[np.float32] = torch.cat([encoder(part) for part in parts]).numpy()
    return found
