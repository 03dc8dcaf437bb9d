"""Read complete audits back from a record."""

from math import isclose
from pathlib import Path
from statistics import fmean

from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.intervals import independent
from sensemble_runtime.auditing.metrics import METRICS
from sensemble_runtime.auditing.reliability import recorded_answers
from sensemble_runtime.errors import ComparisonError, RecordError
from sensemble_runtime.record.reader import (
    Run,
    count_answers,
    read_answers,
    read_conditions,
    read_runs,
    read_sparing,
    read_unknown,
)
from sensemble_runtime.scores import Estimate


def complete_audits(path: Path | str) -> list[Run]:
    """Return the complete audits of a record; ComparisonError if there is none."""
    found = [run for run in read_runs(path) if run.kind == "audit" and run.ended is not None]
    if not found:
        raise ComparisonError(
            f"{path}: holds no complete audit; `sensemble audit BUNDLE ... --record {path}`"
        )
    return found


def check_whole(path: Path | str, run: Run) -> None:
    """Raise a RecordError unless a complete audit has P, R and the answers that its scores are of."""
    scored, given = {name: score.n for name, score in run.scores.items()}, count_answers(path, run.id)
    lost = [f"estimates: no {name}" for name in ("P", "R") if name not in run.estimates]
    lost += [] if scored or given else ["scores: none"]
    lost += [
        f"answers: {given.get(name, 0)} of {name}, and its score is of {scored.get(name, 0)}"
        for name in scored | given
        if given.get(name) != scored.get(name)
    ]
    # A set that is gone with its answers leaves no other trace.
    if not lost and not isclose(fmean(s.accuracy for s in run.scores.values()), run.estimates["P"].value):
        lost = ["scores: P is not the mean of those that are there"]
    if lost:
        again = f"audit again: `sensemble audit BUNDLE ... --record {path}`"
        raise RecordError(f"{path}: an audit has lost rows ({lost[0]}); {again}")


def recorded_audit(path: Path | str, run: Run) -> AuditResult:
    """Return a complete audit of a record, which keeps neither its promise nor what was unfamiliar.

    Raises RecordError as `check_whole`.
    """
    check_whole(path, run)
    answered = recorded_answers(read_answers(path, run.id), run.labels, run.task)
    gains: dict[str, dict[str, Estimate]] = {}
    for key, estimate in run.estimates.items():
        if key.startswith("gain."):
            modality, _, name = key.removeprefix("gain.").partition(" to ")
            gains.setdefault(modality, {})[name] = estimate
    return AuditResult(
        subsets=run.scores,
        mean=run.estimates["P"],
        least=run.estimates["R"],
        drops={n.removeprefix("drop."): one for n, one in run.estimates.items() if n.startswith("drop.")},
        gains=gains,
        chance=run.chance,
        unscored=tuple(
            name for name in map(subsets.name, subsets.measured(run.modalities)) if name not in run.scores
        ),
        metric=METRICS[run.task],
        examples=len(answered.ids),
        groups=independent(answered.groups),
        bundle=run.bundle,
        promise="",
        answered=answered,
        unfamiliar={},
        conditions=tuple(read_conditions(path, run.id)),
        unknown=tuple(read_unknown(path, run.id)),
        sparing=read_sparing(path, run.id),
    )
