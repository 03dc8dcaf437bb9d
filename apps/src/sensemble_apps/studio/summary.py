"""The project as a page shows it: its classes, its takes, and its models."""

from pathlib import Path
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.errors import MatrixError

from sensemble_apps.errors import InputError
from sensemble_apps.results.matrices import at_chance, most_robust, read_intervals
from sensemble_apps.results.run_folder import MATRIX, SELECTION
from sensemble_apps.studio.instant import Instant
from sensemble_apps.studio.project import Project, Run
from sensemble_apps.studio.takes import Takes

NOTHING = "Nothing of these"
"""The page's name of the backgrounds."""
ONE_SENSOR = "A model needs takes of two sensors or more, such as a camera and a microphone"
_RUNS = 10  # of the newest


def describe(project: Project, takes: Takes, live: int | None, instant: Instant | None) -> dict[str, Any]:
    """Return the project for JSON; `live` is the number of the run whose live page is open."""
    dataset = takes.dataset
    return {
        "classes": [
            {
                "name": name,
                "takes": len(own),
                "seconds": round(sum(take.seconds for take in own), 1),
                "right": None if instant is None else instant.right.get(name),
            }
            for name in project.classes
            for own in [takes.of(name)]
        ],
        "takes": takes.describe(),
        "sensors": 0 if dataset is None else len(dataset.modalities),
        "runs": [_run(run) for run in reversed(project.runs()[-_RUNS:])],
        "live": live,
        "instant": None if instant is None else _instant(instant),
    }


def _instant(instant: Instant) -> dict[str, Any]:
    return {
        "fitting": instant.is_fitting,
        "reason": instant.reason,
        "lowered": instant.lowered,
        "done": instant.run.bundle is not None,
        "sets": [{"subset": name, **score} for name, score in instant.sets.items()],
    }


def _run(run: Run) -> dict[str, Any]:
    done = run.bundle is not None
    return {
        "number": run.number,
        "done": done,
        "scores": _scores(run.folder) if done else None,
    }


def _scores(run: Path) -> dict[str, Any] | None:
    """Return the scores of the exported model on the takes held out, None until it is trained.

    `sets` has the score, its interval and chance for every set of sensors; `warnings` has a sentence for each
    sensor that may be at chance.
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
