"""The verdict of the report: what its answers came to, and which classes it takes for which."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sensemble_runtime import subsets
from sensemble_runtime.auditing.reliability import Answered, Outcomes

from sensemble_apps.console.kinds import as_words
from sensemble_apps.console.wording import class_words, classes_in_order, percent, sensor_words

_NAMED = 12  # classes that are named
_PAIRS = 5  # of classes, the worst
_SIDE = 8  # classes of the matrix


@dataclass(frozen=True)
class VerdictSection:
    """The answers with all sensors.

    Attributes:
        classes: a sentence.
        meaning: sentences: how often it is sure, and what "unsure" means for this audit.
        shares: a title, a CSS class and a share of all answers; they sum to 1.
        pairs: sentences on the classes that are taken for others, the worst first.
        labels: the classes of the matrix.
        rows: of each of these that shows, the shares of its examples that are taken for each; None for none.
    """

    classes: str
    meaning: list[str]
    shares: list[tuple[str, str, float]]
    pairs: list[str]
    labels: list[str]
    rows: list[tuple[str, list[float | None]]]


def verdict(answered: Answered) -> VerdictSection:
    """Return the verdict on an audit's answers."""
    every = max(answered.sets, key=lambda name: name.count("+"))
    found = answered.sets[every]
    right, sure = found.right, found.sure
    shares = [
        ("sure and right", "sure-right", float((right & sure).mean())),
        ("sure and wrong", "sure-wrong", float((~right & sure).mean())),
        ("unsure, the likeliest is right", "unsure-right", float((right & ~sure).mean())),
        ("unsure, the likeliest is wrong", "unsure-wrong", float((~right & ~sure).mean())),
    ]
    pairs, labels, rows = _confusion(answered, found)
    return VerdictSection(
        _classes(answered.labels), list(_meaning(subsets.parse(every), shares)), shares, pairs, labels, rows
    )


def _classes(labels: Sequence[str]) -> str:
    return f"It tells {len(labels)} classes apart: {class_words(labels, _NAMED)}."


def _meaning(live: Sequence[str], shares: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    _, sure_wrong, held, rest = (share for *_, share in shares)
    unsure = held + rest
    yield (  # not how often it is right: beside the headline's accuracy, the classifier's, it would puzzle
        f"With {sensor_words(live)}, a session is sure in {_share(1 - unsure)} % of the examples, and "
        f"sure and wrong in {percent(sure_wrong)} %."
    )
    if unsure:
        yield (
            f"In the other {_share(unsure)} % it is unsure: it names possible classes, not a label. "
            f"In {_share(held)} % the likeliest of them is right, which is the price of caution; in "
            f"{_share(rest)} % it is wrong: there caution prevents a mistake."
        )


def _share(share: float) -> str:
    """Write a share in whole per cent, a small one with a decimal: 0 is none."""
    return percent(share, 1 if 0 < share < 0.01 else 0)


def _confusion(
    answered: Answered, found: Outcomes
) -> tuple[list[str], list[str], list[tuple[str, list[float | None]]]]:
    """Return the worst pairs in words, and the matrix of their classes; empty where labels are several."""
    truth = [answered.truth[row] for row in found.rows]
    if any(len(one) != 1 for one in truth):
        return [], [], []
    labels = list(answered.labels)
    titles = [as_words(label) for label in labels]
    counts = np.zeros((len(labels), len(labels)), int)
    shown = np.array([labels.index(one) for (one,) in truth])
    evident = found.predicted >= 0
    np.add.at(counts, (shown[evident], found.predicted[evident]), 1)
    totals = np.bincount(shown, minlength=len(labels))
    wrong = counts * ~np.eye(len(labels), dtype=bool)
    order = [divmod(int(place), len(labels)) for place in np.argsort(-wrong, axis=None, kind="stable")]
    worst = [(true, other) for true, other in order if wrong[true, other]]
    pairs = [
        f"{titles[true]} is taken for {titles[other]} in {wrong[true, other]} of {totals[true]} examples "
        f"({percent(wrong[true, other] / totals[true], 0)}\N{NO-BREAK SPACE}%)"
        for true, other in worst[:_PAIRS]
    ]
    involved = list(dict.fromkeys(place for pair in worst for place in pair))[:_SIDE]
    counted = [labels.index(label) for label in classes_in_order(labels)]
    some = [place for place in counted if place in involved or len(labels) <= _SIDE] if worst else []
    rows = [
        (titles[true], [counts[true, other] / totals[true] or None for other in some])
        for true in some
        if totals[true]
    ]
    return pairs, [titles[place] for place in some], rows
