"""The scores of a run, as the page shows them."""

from pathlib import Path
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.errors import MatrixError

from sensemble_apps.errors import InputError
from sensemble_apps.runs.matrices import at_chance, most_robust, read_intervals
from sensemble_apps.runs.run_folder import MATRIX, SELECTION


def scores(run: Path) -> dict[str, Any] | None:
    """Return the scores of the model that is exported on the takes held out, None until it is trained.

    `sets` has a score with its interval for every set of sensors, and what always giving the commonest class
    scores; `warnings` has a sentence for each sensor that may be at chance.
    """
    try:
        method, train = most_robust(run / SELECTION)
        row = read_intervals(run / MATRIX)[method][subsets.name(train)]
        warnings = list(at_chance(run / MATRIX, method, train))
    except (InputError, MatrixError, KeyError):
        return None
    sets = [
        {"subset": name, "accuracy": s.accuracy, "low": s.low, "high": s.high, "n": s.n, "chance": chance}
        for name, (s, chance) in row.items()
    ]
    return {"method": method, "sets": sets, "warnings": warnings}
