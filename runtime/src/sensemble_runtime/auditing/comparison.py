"""Two audits compared on the same examples: which answers became right or wrong, and whether by chance.

A session's answer is right if it has evidence and its most probable label is true. Every number
allows for examples that come in groups, as `intervals` does.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.intervals import difference, independent, score_test
from sensemble_runtime.auditing.recorded import complete_audits, recorded_audit
from sensemble_runtime.auditing.reliability import Answered, Outcomes, Reliability
from sensemble_runtime.errors import ComparisonError
from sensemble_runtime.scores import ConditionScore, Estimate

MARGIN = 0.01  # of accuracy, below which a difference does not matter
ALPHA = 0.05

Bools = NDArray[np.bool_]
Codes = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class GroupChange:
    """The answers to the `n` examples of a group, such as a person's, in both audits."""

    group: str
    n: int
    before: float  # the share right in A
    after: float
    gained: int
    lost: int


@dataclass(frozen=True, slots=True)
class SetComparison:
    """The answers of one live set in both audits, to the `n` examples that both have."""

    n: int
    change: Estimate  # the share right in B less that in A, paired
    wrong: Estimate  # the same of the share sure and wrong
    unsure: Estimate  # the same of the share unsure
    gained: tuple[str, ...]  # examples that B alone answers right
    lost: tuple[str, ...]  # examples that A alone answers right
    p: float  # of McNemar's test
    adjusted: float  # the same, by Holm over all sets
    equivalence: float  # the p of a difference of `margin` or more (TOST)
    before: Reliability
    after: Reliability
    groups: tuple[GroupChange, ...]  # the largest loss first; by the first group of each example

    @property
    def equivalent(self) -> bool:
        """True if the difference is shown to be below the margin."""
        return self.equivalence < ALPHA

    @property
    def differs(self) -> bool:
        """True if chance hardly explains the difference, of so many sets."""
        return self.adjusted < ALPHA


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Audit B beside audit A.

    Attributes:
        sets: by subset, smallest first, of those that both have.
        margin: of accuracy, for the test of equivalence.
        examples, groups: the numbers of those that both have.
        only: the numbers of examples that only A has, and only B.
        conditions: the scores under each condition that both have: of A, of B.
    """

    sets: dict[str, SetComparison]
    margin: float
    examples: int
    groups: int
    only: tuple[int, int]
    conditions: tuple[tuple[ConditionScore, ConditionScore], ...] = ()

    @property
    def fullest(self) -> str:
        """The name of the largest subset."""
        return max(self.sets, key=lambda name: name.count("+"))

    @property
    def drop(self) -> Estimate:
        """The most that any set loses from A to B; its ends are the highest of all sets' ends."""
        changes = [one.change for one in self.sets.values()]
        return Estimate(*(-min(getattr(one, end) for one in changes) for end in ("value", "high", "low")))

    def __str__(self) -> str:
        """Write it in a line: `98.0 to 97.5 % right with audio+video, -1.2 to +0.3 points (...)`."""
        one = self.sets[self.fullest]
        low, high = (f"{100 * end:+.1f}" for end in (one.change.low, one.change.high))
        return (
            f"{self.fullest}: {100 * one.before.accuracy:.1f} to {100 * one.after.accuracy:.1f} % right of "
            f"{one.n} examples, {low} to {high} points ({len(one.gained)} gained, {len(one.lost)} lost, "
            f"p {one.p:.2g})"
        )

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """Return it for `json.dumps`."""
        return {
            "sets": {
                name: asdict(one) | {"equivalent": one.equivalent, "differs": one.differs}
                for name, one in self.sets.items()
            },
            "drop": asdict(self.drop),
            "margin": self.margin,
            "examples": self.examples,
            "groups": self.groups,
            "only": list(self.only),
            "conditions": [[asdict(a), asdict(b)] for a, b in self.conditions],
        }


def compare(
    a: AuditResult | Path | str, b: AuditResult | Path | str, *, margin: float = MARGIN
) -> Comparison:
    """Compare two audits, or the last complete audits of two record files, on the examples that both have.

    Raises ComparisonError if they have no example or no live set in common, disagree about the truth, or
    `margin` is not between 0 and 1; RecordError if a record cannot be read, or its audit has lost rows.
    """
    before, after = (_audit_of(one) for one in (a, b))
    return compared(before.answered, after.answered, margin, before.conditions, after.conditions)


def _audit_of(source: AuditResult | Path | str) -> AuditResult:
    return source if isinstance(source, AuditResult) else recorded_audit(source, complete_audits(source)[-1])


def compared(
    a: Answered,
    b: Answered,
    margin: float = MARGIN,
    degraded: Sequence[ConditionScore] = (),
    degraded_after: Sequence[ConditionScore] = (),
) -> Comparison:
    """Return B's answers beside A's; ComparisonError as `compare` does."""
    if not 0 < margin < 1:
        raise ComparisonError(f"margin {margin:g}: give a number between 0 and 1, such as {MARGIN}")
    places = {name: place for place, name in enumerate(b.ids)}
    both = {row: places[name] for row, name in enumerate(a.ids) if name in places}
    if not both:
        raise ComparisonError("the two audits have no example in common; audit both on one data set")
    for row, other in both.items():
        if a.contents[row] != b.contents[other]:
            raise ComparisonError(
                f"example {a.ids[row]!r} is other data in A than in B; audit both on one data set"
            )
        if {*a.truth[row]} != {*b.truth[other]}:
            text = f"{'+'.join(a.truth[row])} in A and {'+'.join(b.truth[other])} in B"
            raise ComparisonError(f"example {a.ids[row]!r} is {text}; audit both on one data set")
    pairs = {name: _pair(before, b.sets[name], both) for name, before in a.sets.items() if name in b.sets}
    pairs = {name: pair for name, pair in pairs.items() if len(pair[0].rows)}
    if not pairs:
        raise ComparisonError(f"no live set is in both: A has {', '.join(a.sets)}; B {', '.join(b.sets)}")
    ps = [mcnemar(after.right, before.right, a.groups[before.rows]) for before, after in pairs.values()]
    known = {(one.key, one.subset): one for one in degraded}
    return Comparison(
        {
            name: _compared_set(a, *pair, margin, p, adjusted)
            for (name, pair), p, adjusted in zip(pairs.items(), ps, holm(ps), strict=True)
        },
        margin,
        len(both),
        independent(a.groups[[*both]]),
        (len(a.ids) - len(both), len(b.ids) - len(both)),
        tuple((known[key], one) for one in degraded_after if (key := (one.key, one.subset)) in known),
    )


def _pair(before: Outcomes, after: Outcomes, both: Mapping[int, int]) -> tuple[Outcomes, Outcomes]:
    """Return the outcomes of the examples that both have, in one order."""
    places = {row: place for place, row in enumerate(after.rows.tolist())}
    rows = enumerate(before.rows.tolist())
    pairs = [(place, places[both[row]]) for place, row in rows if both.get(row) in places]
    first, second = np.array(pairs, int).reshape(-1, 2).T
    return before.take(first), after.take(second)


def _compared_set(
    a: Answered,
    before: Outcomes,
    after: Outcomes,
    margin: float,
    p: float,
    adjusted: float,
) -> SetComparison:
    groups = a.groups[before.rows]
    shown = ("confidences", "right", "sure", "predicted")
    same = all(np.array_equal(getattr(before, name), getattr(after, name)) for name in shown)

    def differing(first: Bools, second: Bools) -> Estimate:
        # Equal to the last digit of confidence, they are of one model: nothing is left to chance.
        return Estimate(0.0, 0.0, 0.0) if same else difference(first, second, groups)

    gained, lost = after.right & ~before.right, before.right & ~after.right
    return SetComparison(
        n=len(groups),
        change=differing(after.right, before.right),
        wrong=differing(after.wrong, before.wrong),
        unsure=differing(~after.sure, ~before.sure),
        gained=tuple(a.ids[row] for row in before.rows[gained]),
        lost=tuple(a.ids[row] for row in before.rows[lost]),
        p=p,
        adjusted=adjusted,
        equivalence=0.0 if same else equivalence(after.right, before.right, groups, margin),
        before=before.reliability,
        after=after.reliability,
        groups=_by_group(a, before, after),
    )


def _by_group(a: Answered, before: Outcomes, after: Outcomes) -> tuple[GroupChange, ...]:
    places: dict[str, list[int]] = {}
    for place, row in enumerate(before.rows.tolist()):
        for name in a.named[row][:1]:
            places.setdefault(name, []).append(place)
    changes = []
    for name, some in places.items():
        then, now = before.right[some], after.right[some]
        counts = int((now & ~then).sum()), int((then & ~now).sum())
        changes.append(GroupChange(name, len(some), float(then.mean()), float(now.mean()), *counts))
    return tuple(sorted(changes, key=lambda one: (one.after - one.before, one.group)))


def mcnemar(first: Bools, second: Bools, groups: Codes) -> float:
    """Return the p of McNemar's test that two classifiers are equally often right; bool [N] says right.

    It is `score_test` at no difference (McNemar 1947), so it is below 0.05 where the interval of
    `difference`, of the same test (Tango 1998), excludes zero. Fagerland, Lydersen and Laake (2014) recommend
    the two.
    """
    return math.erfc(abs(score_test(first, second, groups)(0.0)) / math.sqrt(2))


def equivalence(first: Bools, second: Bools, groups: Codes, margin: float) -> float:
    """Return the larger p of two one-sided tests of accuracies that differ by `margin` or more."""
    test, normal = score_test(first, second, groups), NormalDist()
    return max(1 - normal.cdf(test(-margin)), normal.cdf(test(margin)))


def holm(ps: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979): the chance of any false alarm is bounded."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    steps = itertools.accumulate(
        (min(1.0, (len(ps) - rank) * ps[place]) for rank, place in enumerate(order)), max
    )
    adjusted = dict(zip(order, steps, strict=True))
    return [adjusted[place] for place in range(len(ps))]
