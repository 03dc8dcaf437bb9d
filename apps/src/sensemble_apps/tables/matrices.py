"""Read the train x evaluation matrices of `matrix.json`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Matrix
from sensemble_runtime.errors import MatrixError
from sensemble_runtime.scores import SubsetScore
from sensemble_runtime.subsets import Subset

from sensemble_apps.console import estimates
from sensemble_apps.errors import InputError
from sensemble_apps.tables.run_folder import read_object


def read_matrices(path: Path) -> dict[str, Matrix]:
    """Read `{"methods": {name: {M_T: {M_E: score}}}}`, of the training sets that every method has finished.

    Raises InputError if the file is missing or no JSON, MatrixError if it is malformed or no set is finished.
    """
    methods = _methods(path)
    finished = [
        train for train in next(iter(methods.values())) if all(m.get(train) for m in methods.values())
    ]
    if not finished:
        raise MatrixError(f"{path}: no training set is finished by every method yet")
    matrices: dict[str, Matrix] = {}
    for method, rows in methods.items():
        matrices[method] = {train: rows[train] for train in finished}
        try:
            best = robustness.summary(matrices[method]).p_best
        except MatrixError as error:
            raise MatrixError(f"{path}: {method}: {error}") from error
        if not 0 <= best <= 1:
            raise MatrixError(f"{path}: {method}: scores must be from 0 to 1")
    return matrices


Measured = tuple[SubsetScore, float]
"""A score of a matrix with its interval, and the score of always giving the commonest label."""


def read_intervals(path: Path) -> dict[str, dict[str, dict[str, Measured]]]:
    """Return each score with its interval and chance, by method, M_T and M_E.

    Empty for a matrix from elsewhere and for a multi-label task, which have no intervals.
    """
    methods, intervals = _methods(path), read_object(path).get("intervals") or {}

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


def chance_warnings(path: Path, method: str | None = None, train: Subset | None = None) -> Iterator[str]:
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


SHIPPED = "subset"
"""The method that ships by default."""


def most_robust(path: Path, method: str = SHIPPED, train: Subset | None = None) -> tuple[str, Subset]:
    """Return `method` and its most robust M_T in the matrix, by R_best (Eq. 5), then P; or `train`."""
    if train:
        return method, train
    matrices = read_matrices(path)
    if method not in matrices:
        raise InputError(f"{path}: has no method {method!r}; it has {', '.join(matrices)}; name one of these")
    points = robustness.per_train(matrices[method])
    return method, subsets.parse(max(points, key=lambda row: points[row][::-1]))


def _methods(path: Path) -> dict[str, Any]:
    methods = read_object(path).get("methods")
    if not isinstance(methods, dict) or not methods or not all(isinstance(m, dict) for m in methods.values()):
        raise MatrixError(f'{path}: not of the form {{"methods": {{name: {{M_T: {{M_E: score}}}}}}}}')
    return methods
