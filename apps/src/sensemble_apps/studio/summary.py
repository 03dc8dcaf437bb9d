"""The project as a page shows it: its classes, its takes, what is missing of them, and its runs."""

from collections.abc import Mapping
from typing import Any

from sensemble_sensors.media.division import BACKGROUND, Share
from sensemble_train.data.sufficiency import shortages

from sensemble_apps.studio.instant import Instant
from sensemble_apps.studio.project import Project, Run
from sensemble_apps.studio.results import curves, scores
from sensemble_apps.studio.takes import Takes
from sensemble_apps.studio.training import Estimate

NOTHING = "Nothing of these"
"""The page's name of the backgrounds."""
ONE_SENSOR = "A model needs takes of two sensors or more, such as a camera and a microphone"
_RUNS = 10  # of the newest


def describe(
    project: Project, takes: Takes, estimate: Estimate | None, live: int | None, instant: Instant | None
) -> dict[str, Any]:
    """Return the project as JSON holds it.

    Args:
        project: its classes and runs.
        takes: its takes.
        estimate: of the time that a training takes, if there is one.
        live: the number of the run whose live page is open; None for none.
        instant: the instant head, if the project has one.
    """
    dataset, division = takes.dataset, takes.division
    return {
        "classes": [
            {"name": name, "takes": len(own), "seconds": round(sum(take.seconds for take in own), 1)}
            for name in project.classes
            for own in [takes.of(name)]
        ],
        "takes": takes.describe(),
        "divided": takes.is_divided,
        "shares": [] if division is None else _shares(division.shares),
        "missing": [
            *([ONE_SENSOR] if dataset is not None and len(dataset.modalities) < 2 else ()),
            *(line.replace(BACKGROUND, NOTHING) for line in (division.shortages if division else ())),
            *(shortages(dataset, from_scratch=instant is None) if dataset is not None else ()),
        ],
        "estimating": estimate is not None and estimate.running,
        "estimate": None if estimate is None else estimate.seconds,
        "runs": [_run(run) for run in reversed(project.runs()[-_RUNS:])],
        "live": live,
        "instant": None if instant is None else _instant(instant),
    }


def _instant(instant: Instant) -> dict[str, Any]:
    sets = [{"subset": name, **score} for name, score in (instant.sets or {}).items()]
    return {
        "fitting": instant.is_fitting,
        "reason": instant.reason,
        "done": instant.run.bundle is not None,
        "sets": sets,
    }


def _shares(shares: Mapping[str, Mapping[str, Share]]) -> list[dict[str, Any]]:
    return [
        {
            "name": NOTHING if name == BACKGROUND else name,
            **{split: share.groups for split, share in by_split.items()},
        }
        for name, by_split in shares.items()
    ]


def _run(run: Run) -> dict[str, Any]:
    done = run.bundle is not None
    return {
        "number": run.number,
        "done": done,
        "curves": curves(run.folder),
        "scores": scores(run.folder) if done else None,
    }
