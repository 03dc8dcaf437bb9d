"""The instant head: a linear classifier for each modality on features of frozen encoders, fitted in seconds.

The features of all modalities lie side by side in the embedding, each with a 1 behind it (`Placed`), so one
linear head on the mean of the live embeddings holds a classifier for each modality. That mean, times the
number of live modalities, gives the sum of their logits: up to a number that all classes share, the sum of
log-probabilities of the classifiers, each over its own temperature. The temperatures are fitted to groups
that the classifiers were not fitted on; without them, a modality that knows little outweighs one that knows.

No weight of an encoder changes, so encoders that are lowered once serve every set of takes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.bundle.head import Familiarity
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.progress import Stages, no_progress
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_sensors.media.splits import TAKE
from sensemble_sensors.media.streams import backgrounds as stream_backgrounds
from sensemble_sensors.media.streams import read_streams
from sensemble_sensors.recording.header import INDEX
from sensemble_sensors.spec import InputSpec
from torch import Tensor
from torch.nn.functional import normalize

from sensemble_train.data.clips import LOG, Clips, decode, targets
from sensemble_train.data.embedding_cache import VIEWS, embedded
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.augment_config import DERIVED
from sensemble_train.models.infer_spec import SMALL, inputs, small, task_of
from sensemble_train.models.model import Description, Model
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.models.pretrained.sources import load, tokenizer
from sensemble_train.recipe.linear import FOLDS, fit_familiarity, fit_linear, group_folds

_STREAMED = 200  # windows of streams in which nothing appears, at most
_FEWEST = 6  # windows between takes that can tell what none of the classes looks like
_SURE = 0.9  # confidence of a class from which a window is not answered as none of them


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant head, and its answers to examples that were left out of its fit.

    Attributes:
        model: frozen encoders without adapters, and the head.
        examples: all labelled ones except those of `eval`, raw.
        groups: of the examples; one without a group is its own.
        people: of the examples (`Example.person`).
        left_out: modality -> logits [N, C] over the temperature, of classifiers that were fitted without the
            example's group; zeros where the example lacks the modality.
        familiarity: scores of windows, known against those that show none of the classes; None without such.
        limits: modality -> the least score of a familiar window; a modality without such windows has none.
        likeness: modality of `limits` -> the scores [N] of the examples when left out; 0 where it is absent.
        none: of the groups that show none of the classes, those that are answered so when left out, and all;
            None for fewer than two. Most windows of a rejected group are unfamiliar to a sensor, and the
            others are not sure of a class. What ships answers so at least as often: it also doubts them.
        mistaken: of the windows of each class in turn, by a fit without the class, those that are surely
            taken for another class, and all; None for fewer than three classes, and for multi-label.
    """

    model: Model
    examples: Clips
    groups: tuple[str, ...]
    people: tuple[str | None, ...]
    left_out: dict[str, Tensor]
    familiarity: Familiarity | None = None
    limits: dict[str, float] = field(default_factory=dict)
    likeness: dict[str, Tensor] = field(default_factory=dict)
    none: tuple[int, int] | None = None
    mistaken: tuple[int, int] | None = None

    def right(self) -> dict[str, tuple[int, int]]:
        """Return class -> (groups that are right when left out, all its groups); nothing for multi-label."""
        said, labels = self._opinions(), self.model.description.labels
        found = dict.fromkeys(labels, (0, 0)) if said else {}
        for truth, shares in said.values():
            right, count = found[labels[truth]]
            found[labels[truth]] = right + (int(shares.argmax()) == truth), count + 1
        return found

    def hardest(self) -> dict[str, tuple[str, float]]:
        """Return group -> (what it is taken for, the probability of its class) when left out.

        Ten at most, the hardest first, without those that are surely right.
        """
        labels, said = self.model.description.labels, self._opinions()
        found = {
            group: (labels[int(shares.argmax())], float(shares[truth]))
            for group, (truth, shares) in said.items()
        }
        hard = sorted(found, key=lambda group: found[group][1])[:10]
        return {group: found[group] for group in hard if found[group][1] < _SURE}

    def _opinions(self) -> dict[str, tuple[int, Tensor]]:
        """Return group -> (class, its probabilities [C] when left out); nothing for multi-label.

        They are the geometric means of those of its examples.
        """
        truth = self.examples.targets
        assert truth is not None  # noqa: S101 - all have labels
        if truth.ndim > 1:
            return {}
        logits = torch.stack(list(self.left_out.values())).sum(dim=0).log_softmax(dim=1)
        found = {}
        for group in dict.fromkeys(self.groups):
            own = torch.tensor([each == group for each in self.groups])
            found[group] = int(truth[own][0]), logits[own].mean(dim=0).softmax(dim=0)
        return found


_Key = tuple[str, str | None, tuple[Path, ...]]


def _key(example: Example) -> _Key:
    """Return what tells an example from those of the same dataset before a change, and of others."""
    return example.id, example.group, example.files


class FrozenEncoders:
    """Frozen encoders whose features lie side by side in one embedding; features of examples are cached."""

    def __init__(self, sources: Mapping[str, str], specs: Mapping[str, InputSpec]) -> None:
        places, end = {}, 0
        for m in sorted(sources):
            window = torch.zeros(specs[m].shape, dtype=getattr(torch, specs[m].dtype))
            places[m], end = end, end + load(sources[m], specs[m])(window).shape[1] + 1
        self.specs = {m: specs[m] for m in places}
        self.configs = {
            m: replace(config, source=sources[m], embedding=end, place=places[m])
            for m, config in small(self.specs).items()
        }
        own = [m for m in places if kind_of(self.specs[m]).tokenized]
        self.tokenizer = tokenizer(sources[own[0]], specs[own[0]].shape[1]) if own else None
        self._encoders = {m: Pretrained(self.specs[m], self.configs[m]).eval() for m in places}
        self._read: dict[_Key, dict[str, tuple[Tensor, Tensor]]] = {}

    def model(self, modalities: Iterable[str], labels: tuple[str, ...], task: Task) -> Model:
        """Return a model of some of the encoders, whose head is zero."""
        specs, configs = {m: self.specs[m] for m in modalities}, {m: self.configs[m] for m in modalities}
        model = Model(Description(specs, configs, labels, task), self.tokenizer)
        for parameter in model.head.parameters():
            torch.nn.init.zeros_(parameter)
        return model.eval()

    def keep(self, examples: Sequence[Example]) -> None:
        """Forget what was read of all but these."""
        keys = {_key(e) for e in examples}
        self._read = {key: read for key, read in self._read.items() if key in keys}

    def read(self, examples: Sequence[Example], progress: Stages) -> tuple[Clips, dict[str, Tensor]]:
        """Return examples decoded, without labels, and the features float32 [n, V, F] of each modality.

        Only examples that have the modality have features, of unit length; of V views, the first is
        unchanged.
        """
        new = [e for e in examples if _key(e) not in self._read]
        names = sorted({label for e in new for label in e.labels})
        raw = decode(new, self.specs, self.tokenizer, names, "multi-label", partial(progress, "decode"))
        self._read |= {_key(e): {} for e in new}
        for m, has_it in raw.present.items():
            if has_it.any():
                x, shown = raw.inputs[m][has_it], partial(progress, f"embed {m}")
                made = embedded(self._encoders[m], x, VIEWS, DERIVED, self.tokenizer, shown)
                for i, window, views in zip(has_it.nonzero().flatten().tolist(), x, made, strict=True):
                    self._read[_key(new[i])][m] = window, views
        known = [self._read[_key(e)] for e in examples]
        inputs, present, features = {}, {}, {}
        for m, spec in self.specs.items():
            has_it = present[m] = torch.tensor([m in each for each in known])
            dtype = getattr(torch, spec.dtype)
            inputs[m] = torch.zeros(len(known), *spec.shape[1:], dtype=dtype)
            if has_it.any():
                inputs[m][has_it] = torch.stack([each[m][0] for each in known if m in each])
                features[m] = normalize(torch.stack([each[m][1] for each in known if m in each]), dim=2)
        return Clips(inputs, present, None), features


def instant(
    data: Path | str,
    encoders: Mapping[str, str] | FrozenEncoders,
    progress: Stages = no_progress,
    between: Path | None = None,
) -> Instant:
    """Fit an instant head to the labelled examples of a dataset and its backgrounds, except those of `eval`.

    Args:
        data: a folder in the data format.
        encoders: modality -> source of its pretrained encoder, as in `Config`, or those of an earlier fit;
            other modalities are left out.
        progress: called with (stage, steps done, steps in all).
        between: a dataset of what was seen and heard between takes, if it is there. Its windows are
            backgrounds where `data` has none, of a modality by which most of them, left out, are unfamiliar:
            else a thing of a class may have been held before the camera, which would unlearn the class.

    Raises:
        ConfigurationError: a source cannot be used, or no modality has two groups of each of two classes.
        BadDataError: the dataset does not follow the data format.
    """
    dataset = read_dataset(data)
    examples = _several(dataset, [e for e in dataset.known if e.split in {"train", "calibrate"} and e.labels])
    if not isinstance(encoders, FrozenEncoders):
        encoders = FrozenEncoders(encoders, inputs(dataset, SMALL, encoders)[0])
    chosen = _chosen(dataset, examples, encoders.specs)
    labels = tuple(sorted({label for e in examples for label in e.labels}))
    model = encoders.model(chosen, labels, task := task_of(examples, "derived"))
    raw, features = encoders.read(examples, progress)
    truth = targets(examples, labels, task)
    assert truth is not None  # noqa: S101 - all have labels
    groups = tuple(e.group or e.id for e in examples)
    backgrounds = [e for split in ("train", "calibrate") for e in dataset.background(split)]
    backgrounds += stream_backgrounds(read_streams(dataset.folder), encoders.specs, "train", _STREAMED)
    if guessed := None if backgrounds else _guessed(between, encoders, progress):
        backgrounds, other, strange = guessed
    else:
        other, strange = encoders.read(backgrounds, progress) if backgrounds else (raw, {})
    encoders.keep([*examples, *backgrounds])
    of_backgrounds, of_examples = (
        HeldOutAnswers(backgrounds, len(labels)),
        HeldOutAnswers(examples, len(labels)),
    )
    left_out, limits, likeness = {}, dict[str, float](), dict[str, Tensor]()
    several = task == "multi-class" and len(labels) > 2  # of which one can be left out
    slopes = torch.zeros(len(chosen), encoders.configs[chosen[0]].embedding)
    for row, m in enumerate(sorted(chosen)):
        has_it = raw.present[m]
        folds = group_folds([e for e, has in zip(examples, has_it.tolist(), strict=True) if has])
        classes = truth[has_it] if several else None
        found = fit_linear(features[m], truth[has_it], folds, len(labels), task, classes)
        place = encoders.configs[m].place or 0
        with torch.no_grad():
            own = model.head.linear.weight[:, place : place + features[m].shape[2] + 1]
            own.copy_(torch.cat([found.weight, found.bias[:, None]], dim=1))
        left_out[m] = torch.zeros(len(raw), len(labels)).index_put((has_it,), found.left_out)
        unfamiliar = torch.zeros(len(folds), dtype=torch.bool)
        if m in strange:
            codes = group_codes([group for group, has in zip(groups, has_it.tolist(), strict=True) if has])
            turns = of_backgrounds.folds(other.present[m])
            fit = fit_familiarity(features[m], strange[m], folds, codes, turns, classes)
            strangers = fit.of_other < fit.limit
            if not guessed or strangers.float().mean() > 0.5:
                limits[m], unfamiliar = fit.limit, fit.of_class < fit.limit
                likeness[m] = torch.zeros(len(raw)).index_put((has_it,), fit.of_known)
                slopes[row, place : place + features[m].shape[2] + 1] = fit.weights
                of_backgrounds.note(
                    other.present[m], strangers, strange[m][:, 0] @ found.weight.T + found.bias
                )
        of_examples.note(has_it, unfamiliar, found.without_class)
    shown = replace(raw, targets=truth).take(torch.arange(len(raw)), chosen)
    familiarity = Familiarity(slopes.numpy(), np.zeros(len(chosen), np.float32)) if limits else None
    none = None if guessed else of_backgrounds.right()
    mistaken = of_examples.mistaken(truth) if several else None
    people = tuple(e.person for e in examples)
    return Instant(model, shown, groups, people, left_out, familiarity, limits, likeness, none, mistaken)


def _guessed(
    between: Path | None, encoders: FrozenEncoders, progress: Stages
) -> tuple[list[Example], Clips, dict[str, Tensor]] | None:
    """Return the windows between takes, and what the encoders make of them; None if they tell nothing."""
    if between is None or not (between / INDEX).exists():
        return None
    try:
        found = list(read_dataset(between).background("train"))
        return (found, *encoders.read(found, progress)) if len(found) >= _FEWEST else None
    except BadDataError as error:  # nobody recorded it on purpose, and the takes say enough
        LOG.warning("what lies between takes is left out: %s", error)
        return None


class HeldOutAnswers:
    """The answers to windows, backgrounds or of other classes, each by a fit without its like."""

    def __init__(self, examples: Sequence[Example], classes: int) -> None:
        self._groups = [e.group or e.id for e in examples]
        self._codes = (
            torch.tensor(group_codes(self._groups)) if examples else torch.zeros(0, dtype=torch.int64)
        )
        self._unfamiliar = torch.zeros(len(examples), dtype=torch.bool)
        self._opinions = torch.zeros(len(examples), classes)

    def folds(self, present: Tensor) -> Tensor:
        """Return the folds of the windows that have a sensor; -1 where there is one group alone."""
        own = self._codes[present]
        return own % FOLDS if len(own.unique()) > 1 else torch.full_like(own, -1)

    def note(self, present: Tensor, unfamiliar: Tensor, logits: Tensor) -> None:
        """Note which windows of a sensor are unfamiliar, and its opinions [n, C] of the others."""
        self._unfamiliar[present] |= unfamiliar
        self._opinions[present] += logits * ~unfamiliar[:, None]

    def right(self) -> tuple[int, int] | None:
        """Return the groups that are answered as none of the classes, and all; see `Instant.none`."""
        if len(set(self._groups)) < 2:
            return None
        none = self._unfamiliar & (self._opinions.softmax(dim=1).amax(dim=1) < _SURE)
        shares = [none[self._codes == code].double().mean() for code in self._codes.unique()]
        return sum(bool(share > 0.5) for share in shares), len(shares)

    def mistaken(self, truth: Tensor) -> tuple[int, int]:
        """Return the windows that are surely taken for a class other than their own, int64 [N], and all."""
        others = self._opinions.scatter(1, truth[:, None], -torch.inf)
        return int((others.softmax(dim=1).amax(dim=1) >= _SURE).sum()), len(others)


def _several(dataset: Dataset, examples: list[Example]) -> list[Example]:
    """Return the examples of the classes that have two groups, without which nothing can be left out.

    The groups are people or, of one person, takes.
    """
    if len({e.person for e in examples}) == 1:
        examples = [replace(e, groups=tuple(filter(TAKE.fullmatch, e.groups)) or e.groups) for e in examples]
    counts = _groups(examples)
    few = sorted(label for label, count in counts.items() if count < 2)
    if len(counts) - len(few) < 2:
        counted = ", ".join(f"{count} of {label}" for label, count in sorted(counts.items())) or "none"
        raise ConfigurationError(
            f"{dataset.folder}: takes to learn from: {counted}; record two of each of two classes"
        )
    for label in few:
        LOG.warning("%s: has one take; record another, until then it is left out", label)
    return [e for e in examples if not set(e.labels) & set(few)]


def _groups(examples: Iterable[Example]) -> Counter[str]:
    """Return the number of groups of each class."""
    return Counter(label for _, label in {(e.group or e.id, name) for e in examples for name in e.labels})


def _chosen(dataset: Dataset, examples: list[Example], modalities: Iterable[str]) -> list[str]:
    """Return the modalities by which two classes have two groups."""
    groups = {m: _groups(e for e in examples if m in e.modalities) for m in modalities}
    chosen = [m for m, counts in groups.items() if sum(count > 1 for count in counts.values()) > 1]
    for m in groups.keys() & set(dataset.modalities) - set(chosen):
        LOG.warning("%s: fewer than two classes have two takes with it; until then, it is left out", m)
    if not chosen:
        raise ConfigurationError(
            f"{dataset.folder}: has {', '.join(dataset.modalities)}; "
            + (
                "record two takes of each of two classes by one sensor"
                if groups
                else "name a pretrained encoder of one of these, as --encoder audio=whisper-tiny.en"
            )
        )
    return chosen
