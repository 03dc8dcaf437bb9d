"""The instant head: a linear classifier for each modality on features of frozen encoders, fitted in seconds.

The features of all modalities lie side by side in the embedding, each with a 1 behind it (`Placed`), so one
linear head on the mean of the live embeddings holds a classifier for each modality. That mean, times the
number of live modalities, gives the sum of their logits: up to a number that all classes share, the sum of
log-probabilities of specialists, each over a temperature of its own. The temperatures are fitted to groups
that the classifiers were not fitted on; without them, a modality that knows little outweighs one that knows.

No weight of an encoder changes, so what is lowered for one set of takes serves all others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from sensemble_runtime.auditing.calibration import fit_temperature
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.progress import Stages, no_progress
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from torch import Tensor

from sensemble_train.data.clips import LOG, Clips, decode
from sensemble_train.data.embedded import VIEWS, embedded
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.augment_config import DERIVED
from sensemble_train.models.infer_spec import fit as fit_sizes
from sensemble_train.models.infer_spec import inputs, task_of
from sensemble_train.models.model import Description, Model
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.models.pretrained.sources import load, tokenizer
from sensemble_train.objectives.task import task_loss

DECAY = 1e-2
"""Weight of the mean square of a classifier's weights, next to the mean loss of an example."""
_FOLDS = 10
_STEPS = 100


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant head, and its answers to examples that were left out of its fit.

    Attributes:
        model: frozen encoders without adapters, and the head.
        examples: all labelled ones but those of `eval`, raw.
        groups: the group of each; one without a group is one by itself.
        left_out: modality -> logits [N, C] of each example, over the temperature, by classifiers that were
            fitted without its group and some others; zeros where it lacks the modality.
    """

    model: Model
    examples: Clips
    groups: tuple[str, ...]
    left_out: dict[str, Tensor]


def instant(data: Path | str, encoders: Mapping[str, str], progress: Stages = no_progress) -> Instant:
    """Fit an instant head to the labelled examples of a dataset; those of `eval` are left alone.

    Args:
        data: a folder in the data format.
        encoders: modality -> source of its pretrained encoder, as `Config` takes them; other modalities are
            left out.
        progress: called with (stage, steps done, steps in all).

    Raises:
        ConfigurationError: a source cannot be used, or no modality has two groups of each of two classes.
        BadDataError: the dataset does not follow the data format.
    """
    dataset = read_dataset(data)
    examples = _several(dataset, [e for e in dataset.known if e.split in {"train", "calibrate"} and e.labels])
    groups = tuple(e.group or e.id for e in examples)
    model = _model(dataset, examples, encoders)
    described, task = model.description, model.description.task
    raw = decode(
        examples, described.specs, model.tokenizer, described.labels, task, partial(progress, "decode")
    )
    assert raw.targets is not None  # noqa: S101 - all have labels
    left_out = {}
    for m, encoder in model.encoders.items():
        assert isinstance(encoder, Pretrained)  # noqa: S101 - so the model is described
        there = raw.present[m]
        x = embedded(
            encoder, raw.inputs[m][there], VIEWS, DERIVED, model.tokenizer, partial(progress, f"embed {m}")
        )
        folds = _folds([e for e, has in zip(examples, there.tolist(), strict=True) if has])
        found = fit_specialist(x, raw.targets[there], folds, len(described.labels), task)
        place = described.configs[m].place or 0
        with torch.no_grad():
            own = model.head.linear.weight[:, place : place + x.shape[2] + 1]
            own.copy_(torch.cat([found.weight, found.bias[:, None]], dim=1))
        left_out[m] = torch.zeros(len(raw), len(described.labels)).index_put((there,), found.left_out)
    return Instant(model.eval(), raw, groups, left_out)


@dataclass(frozen=True, slots=True)
class Specialist:
    """A linear classifier of one modality's features, calibrated.

    Attributes:
        weight: float32 [C, F], over the temperature.
        bias: float32 [C], likewise.
        temperature: that divided both.
        left_out: float32 [N, C], what classifiers say of each example that were fitted without its fold.
    """

    weight: Tensor
    bias: Tensor
    temperature: float
    left_out: Tensor


def fit_specialist(features: Tensor, truth: Tensor, folds: Tensor, classes: int, task: Task) -> Specialist:
    """Fit a linear classifier to features of one modality, and its temperature to examples left out.

    Args:
        features: float32 [N, V, F], of V views of each example; the first is the example as it is.
        truth: the labels, as `Clips.targets`.
        folds: int64 [N]; examples of one group share a fold.
        classes: C.
        task: `multi-class` or `multi-label`.
    """
    logits = torch.zeros(len(features), classes)
    for fold in folds.unique():
        held = folds == fold
        weight, bias = _classifier(features[~held], truth[~held], classes, task)
        logits[held] = features[held, 0] @ weight.T + bias
    temperature = fit_temperature(logits.numpy(), truth.numpy(), task, least=1)
    weight, bias = _classifier(features, truth, classes, task)
    return Specialist(weight / temperature, bias / temperature, temperature, logits / temperature)


def _several(dataset: Dataset, examples: list[Example]) -> list[Example]:
    """Return the examples of the classes that have two groups, without which nothing can be left out."""
    counts = _groups(examples)
    few = sorted(label for label, count in counts.items() if count < 2)
    if len(counts) - len(few) < 2:
        said = ", ".join(f"{count} of {label}" for label, count in sorted(counts.items())) or "none"
        raise ConfigurationError(
            f"{dataset.folder}: takes to learn from: {said}; record two of each of two classes"
        )
    for label in few:
        LOG.warning("%s: has one take; record another, until then it is left out", label)
    return [e for e in examples if not set(e.labels) & set(few)]


def _groups(examples: Iterable[Example]) -> Counter[str]:
    """Return the number of groups of each class."""
    return Counter(label for _, label in {(e.group or e.id, name) for e in examples for name in e.labels})


def _model(dataset: Dataset, examples: list[Example], encoders: Mapping[str, str]) -> Model:
    """Return the model whose features lie side by side; its head is not fitted."""
    specs, configs = inputs(dataset, fit_sizes(dataset, ModelConfig()), encoders)
    groups = {m: _groups(e for e in examples if m in e.modalities) for m in sorted(encoders)}
    chosen = [m for m, counts in groups.items() if sum(count > 1 for count in counts.values()) > 1]
    for m in sorted(encoders.keys() - chosen):
        LOG.warning("%s: fewer than two classes have two takes with it; until then, it is left out", m)
    if not chosen:
        raise ConfigurationError(
            f"{dataset.folder}: has {', '.join(dataset.modalities)}; "
            + (
                "record two takes of each of two classes by one sensor"
                if encoders
                else "name a pretrained encoder of one of these, as --encoder audio=whisper-tiny.en"
            )
        )
    places, end = {}, 0
    for m in chosen:
        window = torch.zeros(specs[m].shape, dtype=getattr(torch, specs[m].dtype))
        places[m], end = end, end + load(encoders[m], specs[m])(window).shape[1] + 1
    description = Description(
        {m: specs[m] for m in chosen},
        {m: replace(configs[m], embedding=end, place=places[m]) for m in chosen},
        tuple(sorted({label for e in examples for label in e.labels})),
        task_of(examples, "derived"),
    )
    words = [tokenizer(encoders[m], specs[m].shape[1]) for m in description.tokenized]
    model = Model(description, words[0] if words else None)
    for parameter in model.head.parameters():
        torch.nn.init.zeros_(parameter)
    return model


def _folds(examples: list[Example]) -> Tensor:
    """Return the fold of each example, int64 [N]: each group is put where its classes have the fewest."""
    labels: dict[str, set[str]] = {}
    for e in examples:
        labels.setdefault(e.group or e.id, set()).update(e.labels)
    dealt: Counter[tuple[str, int]] = Counter()
    folds: dict[str, int] = {}
    for group in sorted(labels):
        folds[group] = min(range(_FOLDS), key=lambda fold: sum(dealt[name, fold] for name in labels[group]))
        dealt.update((name, folds[group]) for name in labels[group])
    return torch.tensor([folds[e.group or e.id] for e in examples])


def _classifier(x: Tensor, truth: Tensor, classes: int, task: Task) -> tuple[Tensor, Tensor]:
    """Fit a linear classifier with weight decay to centred features of one scale.

    To scale each feature by itself would blow up those that a few takes happen to agree in: of two takes a
    digit, others' digits are then right 10 points less often (FSDD).

    Args:
        x: float32 [N, V, F], features of V views.
        truth: the labels, as `Clips.targets`.
        classes: C.
        task: `multi-class` or `multi-label`.

    Returns:
        Its weight [C, F] and its bias [C], for features as they are.
    """
    views = x.shape[1]
    x, truth = x.flatten(0, 1), truth.repeat_interleave(views, dim=0)
    mean = x.mean(dim=0)
    scale = (x - mean).square().mean().sqrt()
    x = (x - mean) / scale
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    lbfgs = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        lbfgs.zero_grad()
        found = task_loss(x @ weight.T + bias, truth, task) + DECAY * weight.square().sum()
        found.backward()
        return found

    lbfgs.step(loss)
    slopes = weight.detach() / scale
    return slopes, bias.detach() - slopes @ mean
