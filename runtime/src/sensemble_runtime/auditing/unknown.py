"""The audit against the unknown: how sure answers are to windows of no class, and what that costs known ones.

Unknown are a class that was never learned (each in turn is taken out of the head and of the means by which
familiarity judges; the encoders still know it), near windows of the modalities' kinds, and the data's
backgrounds. OpenOOD (Yang et al., 2022) measures the same by AUROC.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.kinds.near import Near
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.sensor import Media

from sensemble_runtime import subsets
from sensemble_runtime.auditing.conditions import Labelled
from sensemble_runtime.auditing.encoding import encode
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.engine.answer import SURE, UNFAMILIAR, answer
from sensemble_runtime.scores import KNOWN, UnknownScore

MOST = 200  # examples of which near windows are made, and backgrounds
_MANY = 20  # windows of a person from which its share counts
_LEFT_OUT = "left out", "a class that was never learned"
_BACKGROUND = "background", "the data's backgrounds"

Floats = NDArray[np.floating]
Truth = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Shown:
    """N inputs of one set of sensors, all of which have a window."""

    rows: Mapping[str, NDArray[np.float32]]  # by modality, embeddings [N, d]
    truth: Truth  # the classes that show, [N, C]
    groups: NDArray[np.integer]  # [N], or [N, ways]

    def take(self, which: NDArray[np.bool_]) -> "_Shown":
        return _Shown({m: x[which] for m, x in self.rows.items()}, self.truth[which], self.groups[which])


@dataclass(frozen=True, slots=True)
class _Outcome:
    confidences: Floats  # [N], 0 without a familiar window
    sure: NDArray[np.bool_]
    wrong: NDArray[np.bool_]  # sure and wrong
    groups: NDArray[np.integer]


def unknown_scores(
    bundle: Bundle, labelled: Labelled, backgrounds: Sequence[Example], done: Callable[[], None]
) -> Iterator[UnknownScore]:
    """Yield the scores of each modality alone and of all, first of what is `KNOWN`.

    `done` is called after each of `steps` windows.
    """
    classifier, modalities = bundle.classifier, bundle.modalities
    sets = list(dict.fromkeys([*((m,) for m in modalities), tuple(modalities)]))
    truth = labelled.truth
    true = np.eye(len(classifier.labels), dtype=bool)[truth] if truth.ndim == 1 else truth.astype(bool)
    embeddings = dict(zip(modalities, labelled.embeddings, strict=True))
    known = {
        one: shown
        for one in sets
        if len((shown := _of_set(one, embeddings, labelled.present, true, labelled.groups)).groups)
    }
    clean = {one: _answered(classifier, shown) for one, shown in known.items()}
    for one, outcome in clean.items():
        yield _score((KNOWN, "what was learned"), one, [outcome], [])
    if truth.ndim == 1 and len(classifier.labels) > 2:
        for one, shown in known.items():
            pairs = list(_left_out(classifier, shown))
            if pairs:
                yield _score(_LEFT_OUT, one, [out for _, out in pairs], [rest for rest, _ in pairs])
    for title, rows, present, shows, groups in (
        *_near(bundle, labelled, true, done),
        *(_backgrounds(bundle, sort, some, done) for sort, some in _by_sort(backgrounds).items()),
    ):
        for one in known:
            if set(one) <= rows.keys():
                shown = _of_set(one, rows, present, shows, groups)
                if len(shown.groups):
                    yield _score(title, one, [_answered(classifier, shown)], [clean[one]])


def steps(bundle: Bundle, examples: Sequence[Example], backgrounds: Sequence[Example]) -> int:
    """Return how many windows `unknown_scores` encodes at most."""
    sorts = sum(len(kind_of(spec).near) for spec in bundle.specs.values())
    shown = sum(min(MOST, len(some)) for some in _by_sort(backgrounds).values())
    return min(MOST, len(examples)) * sorts + shown * len(bundle.modalities)


def _of_set(
    subset: subsets.Subset,
    rows: Mapping[str, NDArray[np.float32]],
    present: Mapping[str, NDArray[np.bool_]],
    truth: Truth,
    groups: NDArray[np.integer],
) -> _Shown:
    has = np.all([present[m] for m in subset], axis=0)
    return _Shown({m: rows[m] for m in subset}, truth, groups).take(has)


def _answered(classifier: Classifier, shown: _Shown) -> _Outcome:
    evidence = {m: classifier.evidence(m, x) for m, x in shown.rows.items()}
    present = dict.fromkeys(evidence, np.ones(len(shown.groups), bool))
    rule = classifier.redundancy, classifier.task, classifier.threshold
    answers = answer(evidence, present, tuple(shown.rows), *rule)
    best = answers.probabilities.argmax(axis=1)
    confidences = np.where(answers.doubts == UNFAMILIAR, 0, answers.probabilities.max(axis=1))
    sure = answers.doubts == SURE
    right = shown.truth[np.arange(len(best)), best]
    return _Outcome(confidences, sure, sure & ~right, shown.groups)


def _left_out(classifier: Classifier, shown: _Shown) -> Iterator[tuple[_Outcome, _Outcome]]:
    """Yield the outcomes of the classes that are left, and of the one left out, for each in turn."""
    for label in range(len(classifier.labels)):
        out, less = shown.truth[:, label], classifier.without(label)
        if out.any() and not out.all():
            rest = _Shown(shown.rows, np.delete(shown.truth, label, axis=1), shown.groups)
            yield _answered(less, rest.take(~out)), _answered(less, rest.take(out))


_Sort = tuple[
    tuple[str, str],
    Mapping[str, NDArray[np.float32]],
    Mapping[str, NDArray[np.bool_]],
    Truth,
    NDArray[np.integer],
]


def _near(bundle: Bundle, labelled: Labelled, true: Truth, done: Callable[[], None]) -> Iterator[_Sort]:
    """Yield the near windows of each name, of the modalities whose kind makes them."""
    some = _spread(len(labelled.examples))
    draw = np.random.default_rng(0)
    apart = [np.flatnonzero(~(true[some] & true[row]).any(axis=1)) for row in some]
    if not all(map(len, apart)):  # of one class alone, nothing can be mixed
        return
    others = [int(draw.choice(places)) for places in apart]
    windows: dict[str, list[Media | str | None]] = {
        m: [
            kind_of(spec).window(labelled.examples[row], spec) if labelled.present[m][row] else None
            for row in some
        ]
        for m, spec in bundle.specs.items()
    }
    by_name: dict[str, dict[str, Near]] = {}
    for m, spec in bundle.specs.items():
        for near in kind_of(spec).near:
            by_name.setdefault(near.name, {})[m] = near
    for name, sorts in by_name.items():
        rows = {m: np.zeros((len(some), bundle.manifest.embedding), np.float32) for m in sorts}
        present = {m: np.zeros(len(some), bool) for m in sorts}
        made = _changed(sorts, windows, others, present, draw, done)
        encode(bundle, made, rows)
        first = next(iter(sorts.values()))
        shows = true[some] | true[some][others] if first.both else true[some]
        yield (name, first.phrase), rows, present, shows, labelled.groups[some]


def _changed(
    sorts: Mapping[str, Near],
    windows: Mapping[str, Sequence[Media | str | None]],
    others: Sequence[int],
    present: Mapping[str, NDArray[np.bool_]],
    draw: np.random.Generator,
    done: Callable[[], None],
) -> Iterator[tuple[str, int, Media | str]]:
    """Yield near windows of one name, each made of a window and its other one; `present` notes where."""
    for m, near in sorts.items():
        for place, one in enumerate(windows[m]):
            other = windows[m][others[place]]
            if one is not None and other is not None:
                present[m][place] = True
                yield m, place, near.make(one, other, draw)
            done()


def _by_sort(backgrounds: Sequence[Example]) -> dict[str, list[Example]]:
    found: dict[str, list[Example]] = {}
    for example in backgrounds:
        found.setdefault(example.sort, []).append(example)
    return found


def _backgrounds(bundle: Bundle, sort: str, examples: Sequence[Example], done: Callable[[], None]) -> _Sort:
    some = [examples[row] for row in _spread(len(examples))]
    rows = {m: np.zeros((len(some), bundle.manifest.embedding), np.float32) for m in bundle.modalities}
    present = {m: np.array([m in one.modalities for one in some]) for m in bundle.modalities}

    def windows() -> Iterator[tuple[str, int, Media | str]]:
        for m, spec in bundle.specs.items():
            for place, example in enumerate(some):
                if present[m][place]:
                    yield m, place, kind_of(spec).window(example, spec)
                done()

    encode(bundle, windows(), rows)
    nothing = np.zeros((len(some), len(bundle.manifest.labels)), bool)
    title = (f"{_BACKGROUND[0]} {sort}", "backgrounds that the dataset names so") if sort else _BACKGROUND
    return title, rows, present, nothing, group_codes([one.groups for one in some])


def _spread(count: int) -> NDArray[np.int64]:
    """Return at most `MOST` of `count` places, evenly spread."""
    return (
        np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(np.int64)) if count else np.zeros(0, int)
    )


def _score(
    title: tuple[str, str], subset: subsets.Subset, found: Sequence[_Outcome], known: Sequence[_Outcome]
) -> UnknownScore:
    """Return the score of outcomes, each against known ones: AUROC is the mean."""
    sure, wrong, groups = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("sure", "wrong", "groups")
    )
    unfamiliar = np.concatenate([one.confidences for one in found]) == 0
    ways = groups.reshape(len(groups), -1).T  # of grouping: by person, by recording
    every = [unfamiliar[way == group] for way in ways for group in np.unique(way)]
    areas = [_auroc(two.confidences, one.confidences) for one, two in zip(found, known, strict=False)]
    return UnknownScore(
        *title,
        subset=subsets.name(subset),
        n=len(sure),
        sure=float(sure.mean()),
        sure_wrong=float(wrong.mean()),
        unfamiliar=float(unfamiliar.mean()),
        of_one=max((float(own.mean()) for own in every if len(own) >= _MANY), default=None),
        auroc=float(np.mean(areas)) if areas else None,
    )


def _auroc(high: Floats, low: Floats) -> float:
    """Return the share of pairs in which the first is higher; ties count half."""
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return float(below.mean() / 2 / len(low))
