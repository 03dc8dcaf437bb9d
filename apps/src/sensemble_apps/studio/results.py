"""The curves and the scores of a run, as the page draws them."""

from pathlib import Path
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.errors import MatrixError
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.lines import Fields

from sensemble_apps.errors import InputError
from sensemble_apps.runs.matrices import at_chance, most_robust, read_intervals
from sensemble_apps.runs.run_folder import MATRIX, SELECTION

_POINTS = 120  # of a curve at most
_FAR = 1 << 40  # beyond any step or loss
_LOG = "steps.jsonl"


def curves(run: Path) -> list[dict[str, Any]]:
    """Return the loss of each stage so far, in their order: `points` of [step, loss]."""
    stages = {"pretrain": run / "pretrained" / _LOG}
    stages |= {f"specialist {path.parent.name}": path for path in run.glob(f"specialists/*/{_LOG}")}
    stages |= {path.parts[-3]: path for path in run.glob(f"models/*/*/{_LOG}")}
    begun = [(path.stat().st_ctime, stage, path) for stage, path in stages.items() if path.is_file()]
    return [{"stage": stage, "points": _points(path)} for _, stage, path in sorted(begun)]


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


def _points(log: Path) -> list[list[float]]:
    """Return [step, loss] of the lines of a log, thinned out; a damaged line, or half a last one, is none."""
    whole, _, _ = log.read_bytes().rpartition(b"\n")
    lines = [point for line in whole.splitlines() for point in _point(line)]
    every = max(1, -(-len(lines) // _POINTS))
    return lines[::every] + ([lines[-1]] if lines and (len(lines) - 1) % every else [])


def _point(line: bytes) -> list[list[float]]:
    try:
        fields = Fields(line)
        step, loss = fields.integer("step", 0, _FAR), fields.number("loss", -_FAR, _FAR)
    except BadDataError:
        return []
    return [[step, round(loss, 5)]]
