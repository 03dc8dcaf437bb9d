"""Performance and robustness of a train x evaluation matrix (the paper's Sec. 3.2).

A matrix maps each training set M_T to the score of every evaluation set M_E: `{"video": {"audio": 0.4}}`.
Scores may be fractions or per cent. An M_T for which a stratum has no M_E does not count towards it (nothing
can be missing from a single modality): P and R average over the other M_T. This reproduces the paper's Table
1 from its Table 9 in every AudioSet row. A malformed matrix is a `MatrixError`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from statistics import fmean

from sensemble_runtime.errors import MatrixError, SubsetError
from sensemble_runtime.subsets import Subset, name, parse

Matrix = Mapping[str, Mapping[str, float]]
Predicate = Callable[[Subset, Subset], bool]


@dataclass(frozen=True, slots=True)
class Stratum:
    """P and R (Eq. 3, 4 and 6) over some of a matrix's cells; None if there are no such cells."""

    p: float | None
    r: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A row of the paper's Table 1: the best P and R over all M_T (Eq. 5), their means (Eq. 6), strata."""

    p_best: float
    r_best: float
    p: float
    r: float
    missing: Stratum
    added: Stratum
    transfer: Stratum


def missing(train: Subset, test: Subset) -> bool:
    """Missing at Test: M_E is a strict subset of M_T."""
    return set(test) < set(train)


def added(train: Subset, test: Subset) -> bool:
    """Added at Test: M_E is a strict superset of M_T."""
    return set(test) > set(train)


def transfer(train: Subset, test: Subset) -> bool:
    """Transferability: M_E and M_T have nothing in common."""
    return set(test).isdisjoint(train)


def summary(matrix: Matrix) -> Summary:
    """Return the paper's metrics of `matrix` (Eq. 3 to 6, strata); MatrixError if it is malformed."""
    points = list(per_train(matrix).values())
    return Summary(
        p_best=max(p for p, _ in points),
        r_best=max(r for _, r in points),
        p=fmean(p for p, _ in points),
        r=fmean(r for _, r in points),
        missing=stratified(matrix, missing),
        added=stratified(matrix, added),
        transfer=stratified(matrix, transfer),
    )


def per_train(
    matrix: Matrix, predicate: Predicate = lambda _train, _test: True
) -> dict[str, tuple[float, float]]:
    """Return P(M_T) and R(M_T) (Eq. 3, 4; Figure 6) over the cells that `predicate(M_T, M_E)` selects."""
    points = {}
    for train, row in _checked(matrix).items():
        scores = [score for test, score in row.items() if predicate(train, test)]
        if scores:
            points[name(train)] = (fmean(scores), min(scores))
    return points


def stratified(matrix: Matrix, predicate: Predicate) -> Stratum:
    """Return P and R (Eq. 6) over the cells that `predicate(M_T, M_E)` selects."""
    points = per_train(matrix, predicate).values()
    if not points:
        return Stratum(None, None)
    return Stratum(fmean(p for p, _ in points), fmean(r for _, r in points))


def overlap(matrix: Matrix, k: int) -> Stratum:
    """Return P and R over the cells in which M_T and M_E share exactly `k` modalities (Figure 5)."""
    return stratified(matrix, lambda train, test: len(set(train) & set(test)) == k)


def _checked(matrix: object) -> dict[Subset, dict[Subset, float]]:
    rows = {
        train: {
            test: _number(score, f"{name(train)} -> {name(test)}")
            for test, score in _by_set(row, f"row {name(train)}").items()
        }
        for train, row in _by_set(matrix, "the whole").items()
    }
    columns = {test for row in rows.values() for test in row}
    for train, row in rows.items():
        for test in sorted(columns - set(row)):
            raise MatrixError(f"matrix: row {name(train)} has no score for {name(test)}; other rows do")
    return rows


def _number(score: object, where: str) -> float:
    if isinstance(score, bool) or not isinstance(score, Real) or not math.isfinite(score):
        raise MatrixError(f"matrix: {where} is {score!r}, not a finite number")
    return float(score)


def _by_set(mapping: object, where: str) -> dict[Subset, object]:
    if not isinstance(mapping, Mapping) or not mapping:
        raise MatrixError(f"matrix: {where} is not a filled map from sets of modalities such as audio+video")
    parsed: dict[Subset, object] = {}
    for key, value in mapping.items():
        try:
            subset = parse(key)
        except SubsetError as error:
            raise MatrixError(f"matrix: {where}: {error}") from error
        if subset in parsed:
            raise MatrixError(f"matrix: {where}: {name(subset)} occurs twice")
        parsed[subset] = value
    return parsed
