"""Measures of what a session says of a stream: found, false, late; of activities, their segments and order.

Moments are matched one to one with the spans of their class; each span is found by at most one of them, and
all others are false: a moment told twice, a word that nobody said, the wrong word. The number of false ones
in some hours is taken as a Poisson count, whose exact interval is Garwood's (1936). Segments are scored as
Lea et al. (2017) do, by an overlap of half and by an edit distance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.media.spans import Span

from sensemble_runtime.auditing.intervals import LEVEL
from sensemble_runtime.bundle.manifest import poisson_bound

LATE = 1.5
"""Seconds after the end of its span within which a moment may be told."""
OVERLAP = 0.5

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Told:
    """A moment or a state as it was told: its class, when it began and ended, and when it was known."""

    label: str
    begin: float
    end: float
    at: float


@dataclass(frozen=True, slots=True)
class Matching:
    """The moments of a stream, matched with its spans.

    Attributes:
        found: by the place of a span, that of the moment that found it.
        false: the places of the other moments.
    """

    found: dict[int, int]
    false: tuple[int, ...]


def match(told: Sequence[Told], spans: Sequence[Span], late: float = LATE) -> Matching:
    """Match as many moments as can be, one to one: each is told from a span's begin to `late` after its end.

    In the order of time, a moment takes the open span of its class that ends first, which is optimal.
    """
    found = dict[int, int]()
    false = list[int]()
    order = sorted(range(len(spans)), key=lambda place: spans[place].end)
    for place in sorted(range(len(told)), key=lambda place: told[place].at):
        one = told[place]
        for at in order:
            span = spans[at]
            if at not in found and span.label == one.label and span.begin <= one.at <= span.end + late:
                found[at] = place
                break
        else:
            false.append(place)
    return Matching(found, tuple(false))


def mistaken(told: Sequence[Told], spans: Sequence[Span], matching: Matching, late: float = LATE) -> int:
    """Count the false moments that take one class for another: one of another class is there to be told."""
    return sum(
        any(
            span.label != told[place].label and span.begin <= told[place].at <= span.end + late
            for span in spans
        )
        for place in matching.false
    )


def delays(told: Sequence[Told], spans: Sequence[Span], matching: Matching) -> NDArray[np.float64]:
    """Return the seconds from the end of each found span until it was told; negative if told before."""
    return np.array([told[place].at - spans[at].end for at, place in sorted(matching.found.items())])


def poisson_interval(count: int, level: float = LEVEL) -> Range:
    """Return Garwood's exact interval of the mean of a Poisson count."""
    tail = (1 - level) / 2
    return (0.0 if count == 0 else poisson_bound(count - 1, tail), poisson_bound(count, 1 - tail))


def segments_f1(told: Sequence[Told], spans: Sequence[Span], overlap: float = OVERLAP) -> float:
    """Return the F1 of segments: right if they overlap one of their class by a share of their union.

    A true segment is found once. 1 where there are neither segments nor spans.
    """
    taken, right = set[int](), 0
    for one in told:
        shares = [
            _overlap(one, span) if span.label == one.label and at not in taken else 0.0
            for at, span in enumerate(spans)
        ]
        if shares and max(shares) >= overlap:
            taken.add(int(np.argmax(shares)))
            right += 1
    whole = len(told) + len(spans)
    return 2 * right / whole if whole else 1.0


def _overlap(one: Told, span: Span) -> float:
    shared = min(one.end, span.end) - max(one.begin, span.begin)
    whole = max(one.end, span.end) - min(one.begin, span.begin)
    return max(shared, 0.0) / whole if whole > 0 else 0.0


def edit_score(told: Sequence[str], true: Sequence[str]) -> float:
    """Return 1 - the edit distance (Levenshtein) of two sequences of classes, over the longer's length."""
    row = list(range(len(true) + 1))
    for i, one in enumerate(told, start=1):
        before, row = row, [i]
        for j, other in enumerate(true, start=1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (one != other)))
    longest = max(len(told), len(true))
    return 1 - row[-1] / longest if longest else 1.0
