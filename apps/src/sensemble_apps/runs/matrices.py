"""Read the train x evaluation matrices of `matrix.json`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Matrix
from sensemble_runtime.errors import MatrixError
from sensemble_runtime.subsets import Subset, SubsetScore

from sensemble_apps.console import estimates
from sensemble_apps.errors import InputError

_REMEDY = "give a run, a folder that `sensemble train` or `sensemble demo` wrote, or its matrix.json"


def read_matrices(path: Path) -> dict[str, Matrix]:
    """Read `{"methods": {name: {M_T: {M_E: score}}}}` and check every set and score in it.

    Scores stay on the file's scale: fractions, or per cent as the paper prints them.

    Raises:
        InputError: the file is missing, or is not JSON.
        MatrixError: it is malformed; names the file, the method and the set.
    """
    methods = _methods(path)
    for method, matrix in methods.items():
        try:
            robustness.summary(matrix)
            _check_writing(matrix)
        except MatrixError as error:
            raise MatrixError(f"{path}: {method}: {error}") from error
    return methods


def read_unfinished(path: Path) -> dict[str, Matrix]:
    """Read matrices whose missing or null rows and scores are left out; check the rest."""
    return {method: _filled(f"{path}: {method}", matrix) for method, matrix in _methods(path).items()}


Measured = tuple[SubsetScore, float]
"""A score of a matrix with its interval, and what always giving the commonest label scores."""


def read_intervals(path: Path) -> dict[str, dict[str, dict[str, Measured]]]:
    """Return each score of a run's matrix with its interval, and chance, by method, M_T and M_E.

    It is empty for a matrix from elsewhere, and for a multi-label task, which have none.
    """
    methods, intervals = read_unfinished(path), _content(path).get("intervals") or {}

    def measured(score: float, cell: Mapping[str, Any]) -> Measured:
        return SubsetScore(score, cell["n"], cell["low"], cell["high"]), cell["chance"]

    try:
        return {
            method: {
                train: {test: measured(methods[method][train][test], cell) for test, cell in row.items()}
                for train, row in rows.items()
            }
            for method, rows in intervals.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise MatrixError(f"{path}: intervals: not as `sensemble train` writes them ({error})") from error


def at_chance(path: Path, method: str | None = None, train: Subset | None = None) -> Iterator[str]:
    """Yield a sentence for each sensor that alone stays at chance with the best of a run's models.

    `method` and `train` choose models; by default, all count.
    """
    cells: dict[str, list[Measured]] = {}
    for name, rows in read_intervals(path).items():
        for trained, row in rows.items():
            if method in (None, name) and (train is None or subsets.name(train) == trained):
                for test, cell in row.items():
                    cells.setdefault(test, []).append(cell)
    for test, measured in cells.items():
        score, chance = max(measured, key=lambda cell: cell[0].accuracy)
        if "+" not in test and score.low <= chance:
            yield estimates.at_chance(test, score, chance)


def as_fractions(matrices: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Return the matrices with scores in [0, 1]; if any score is over 1, all are in per cent."""
    scores = [score for matrix in matrices.values() for row in matrix.values() for score in row.values()]
    lowest, highest = min(scores, default=0), max(scores, default=0)
    if lowest < 0 or highest > 100:
        raise MatrixError(f"scores from {lowest:g} to {highest:g} are neither fractions nor per cent")
    scale = 100 if highest > 1 else 1
    return {
        method: {train: {e: score / scale for e, score in row.items()} for train, row in matrix.items()}
        for method, matrix in matrices.items()
    }


SHIPPED = "subset"
"""The method that ships by default."""


def most_robust(path: Path, method: str = SHIPPED, train: Subset | None = None) -> tuple[str, Subset]:
    """Return `method` and its most robust M_T in the matrix `path`, by R_best (Eq. 5), then P; or `train`."""
    if train:
        return method, train
    matrices = read_matrices(path)
    if method not in matrices:
        raise InputError(f"{path}: has no method {method!r}; it has {', '.join(matrices)}; name one of these")
    points = robustness.per_train(matrices[method])
    return method, subsets.parse(max(points, key=lambda row: points[row][::-1]))


def _methods(path: Path) -> dict[str, Any]:
    methods = _content(path).get("methods")
    if not isinstance(methods, dict) or not methods:
        raise MatrixError(f'{path}: not of the form {{"methods": {{name: {{M_T: {{M_E: score}}}}}}}}')
    return methods


def _content(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`; empty if it is another value."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); {_REMEDY}") from error
    return content if isinstance(content, dict) else {}


def _filled(where: str, matrix: Any) -> Matrix:  # noqa: ANN401 - whatever JSON can hold
    if not isinstance(matrix, dict) or not all(isinstance(row, dict | None) for row in matrix.values()):
        raise MatrixError(f"{where}: not of the form {{M_T: {{M_E: score}}}}")
    rows = {
        train: {test: score for test, score in (row or {}).items() if score is not None}
        for train, row in matrix.items()
    }
    filled = {train: row for train, row in rows.items() if row}
    try:
        for train, row in filled.items():
            robustness.per_train({train: row})
        _check_writing(filled)
    except MatrixError as error:
        raise MatrixError(f"{where}: {error}") from error
    return filled


def _check_writing(matrix: Matrix) -> None:
    """Refuse unsorted sets, which the metrics would accept but the format forbids."""
    for key in (key for train, row in matrix.items() for key in (train, *row)):
        subset = subsets.parse(key)
        if key != subsets.name(subset):
            raise MatrixError(f"{key}: sets are written sorted; write {subsets.name(subset)}")
