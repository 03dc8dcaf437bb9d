"""The search for schemes: measure every combination, and choose the best within a budget.

Each modality is exported and measured once with each scheme. Pooling is a mean, so the accuracy of a
combination on every subset of modalities is then arithmetic on embeddings that were measured already.
"""

import itertools
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sensemble_runtime.bundle.manifest import Parity, Scheme
from sensemble_runtime.executors.executor import missing
from sensemble_runtime.progress import Stages, no_progress

from sensemble_export.errors import ExportError, ParityFailedError
from sensemble_export.lowering.targets import FLOAT, Job, target_of
from sensemble_export.measuring.artifact_store import ArtifactStore
from sensemble_export.measuring.parity import is_close

LOG = logging.getLogger(__name__)

_UNITS = {"size": ("MB", 1e6), "latency": ("ms", 1.0), "drop": ("points", 1.0)}
_TERM = re.compile(r"(size|latency|drop)=(\d+(?:\.\d+)?)(MB|ms)?")


@dataclass(frozen=True, slots=True)
class Option:
    """A combination: one artifact for each modality."""

    jobs: tuple[Job, ...]
    size: int  # of all artifacts, in bytes
    latency: float  # milliseconds to encode one window of each, one after another (sum of the medians)
    drop: float  # the largest loss of accuracy on any subset, in points; never below 0
    dropped: str  # the subset with that loss
    worst: float  # the lowest accuracy of any subset, a fraction

    def costs(self) -> dict[str, float]:
        """Return the quantities that a budget limits, in its units."""
        return {"size": self.size / 1e6, "latency": self.latency, "drop": self.drop}


@dataclass(frozen=True, slots=True)
class TradeOff:
    """The combinations that a search measured for one target."""

    target: str
    options: tuple[Option, ...]  # those whose parity is good, in no particular order
    skipped: tuple[str, ...]  # the reason for each artifact that cannot be made or run


class BudgetError(ExportError):
    """No combination is within the budget, or the budget is malformed; says how far the nearest is off.

    Attributes:
        trade_offs: what the search had measured by then.
    """

    trade_offs: tuple[TradeOff, ...] = ()


def parse_budget(text: str) -> dict[str, float]:
    """Read `size=20MB,latency=30ms,drop=1.0`: MB (10^6 bytes), ms, points; BudgetError for anything else."""
    limits: dict[str, float] = {}
    for term in text.split(","):
        found = _TERM.fullmatch(term.strip())
        if not found or (found[3] or _UNITS[found[1]][0]) != _UNITS[found[1]][0] or found[1] in limits:
            raise BudgetError(
                f"--budget {text}: {term!r} is not understood; write size=20MB,latency=30ms,drop=1.0"
            )
        limits[found[1]] = float(found[2])
    return limits


def check_targets(targets: Sequence[str]) -> None:
    """Raise BudgetError unless this machine can run all of `targets`: a search measures them."""
    for target in targets:
        if lacking := missing(target):
            raise BudgetError(
                f"a search measures, and {target} {lacking}; search for another target, or where it runs"
            )


def trade_off(store: ArtifactStore, target: str, progress: Stages = no_progress) -> TradeOff:
    """Export every modality with every scheme of `target`, and combine them.

    Args:
        store: makes the artifacts. Its held-out examples need labels and must not be of the split eval, on
            which the choice is reported (`ArtifactStore.measure_on`).
        target: one that this machine can run.
        progress: called with (stage, steps done, steps in all).

    Raises:
        BudgetError: the held-out examples have no labels.
        CalibrationMissingError: a modality has no calibration windows, which int8 takes its ranges from.
        NotLowerableError, MeasurementError: no scheme of some modality can be made or run.
        ParityFailedError: no scheme is good enough for some modality.
    """
    if store.held_out.targets is None:
        raise BudgetError("a search counts accuracy, and the held-out examples have no labels; add some")
    store.check_calibration(store.model.modalities)
    schemes = target_of(target).schemes
    failed: dict[Job, ExportError] = {}
    plain = [Job(modality, target, scheme) for scheme in schemes for modality in store.model.modalities]
    store.make(plain, partial(progress, f"{target}: schemes"), failed)
    made = [job for job in plain if job not in failed]
    good = [job for job in made if is_close(job.scheme, _parity(store, job))]
    choices = [[job for job in good if job.modality == m] for m in store.model.modalities]
    for modality, jobs in zip(store.model.modalities, choices, strict=True):
        if not jobs:
            cosines = [_parity(store, job).cosine for job in made if job.modality == modality]
            if not cosines:
                raise failed[Job(modality, target, FLOAT)]
            raise ParityFailedError(
                f"{modality}: no scheme of {target} gives the trained encoder's embeddings (mean cosine "
                f"{max(cosines):.5f} at most), not even {FLOAT}; file it as a bug"
            )
    floats = store.scores(store.expected)
    options = tuple(_option(store, jobs, floats) for jobs in itertools.product(*choices))
    return TradeOff(target, options, tuple(map(str, failed.values())))


def good_enough(store: ArtifactStore, jobs: Sequence[Job]) -> list[Job]:
    """Return `jobs`, with a closer scheme for a default one that lies too far from the trained encoder.

    It has the weights alone in int8, or is float. A warning says so.

    `store` has made the artifacts of `jobs`, and makes the others; raises as `ArtifactStore.make`.
    """
    chosen = []
    for job in jobs:
        target, closer = target_of(job.target), job
        others: tuple[Scheme, ...] = ("int8-weights", FLOAT)
        closest = [one for one in others if one in target.schemes and one != job.scheme]
        if not missing(job.target) and job.scheme == target.default:
            while closest and not is_close(closer.scheme, _parity(store, closer)):
                closer = Job(job.modality, job.target, closest.pop(0))
                store.make([closer])
        if closer != job:
            LOG.warning(
                "%s: %s for %s has a mean cosine of %.3f to the trained encoder's; it is %s instead",
                job.modality,
                job.scheme,
                job.target,
                _parity(store, job).cosine,
                closer.scheme,
            )
        chosen.append(closer)
    return chosen


def best(found: Sequence[Option], budget: Mapping[str, float]) -> Option:
    """Return the best combination within the budget.

    With a limit on the drop, the best is the smallest; without one, it is the one that drops least. Ties are
    broken by the other of the two, then by latency.

    Raises:
        BudgetError: the budget names an unknown limit, or no combination is within it; names each limit that
            cannot be met, and by how much.
    """
    if unknown := budget.keys() - _UNITS.keys():
        raise BudgetError(f"budget: unknown limit {min(unknown)!r}; there is {', '.join(_UNITS)}")
    within = [option for option in found if not _exceeded(option, budget)]
    if within:
        return min(within, key=lambda option: _rank(option, small="drop" in budget))
    raise BudgetError(
        f"none of {len(found)} combinations is within the budget: "
        + "; ".join(_shortfall(found, budget, limit) for limit in budget)
        + "; raise the budget, or train a smaller model"
    )


def pareto_front(found: Sequence[Option]) -> list[Option]:
    """Return the Pareto front: the combinations that no other matches in size, latency and drop."""
    ordered = sorted(found, key=lambda option: tuple(option.costs().values()))
    kept: list[Option] = []
    for option in ordered:
        costs = option.costs()
        if not any(all(other.costs()[c] <= costs[c] for c in costs) for other in kept):
            kept.append(option)
    return kept


def _parity(store: ArtifactStore, job: Job) -> Parity:
    parity = store.made[job].parity
    assert parity is not None  # noqa: S101 - the target runs here
    return parity


def _option(store: ArtifactStore, jobs: tuple[Job, ...], floats: dict[str, float]) -> Option:
    made = {job.modality: store.made[job] for job in jobs}
    measured = {m: one.measured for m, one in made.items() if one.measured is not None}
    scores = store.scores({m: found.embeddings for m, found in measured.items()})
    drops = {subset: 100 * (floats[subset] - score) for subset, score in scores.items()}
    dropped = max(drops, key=drops.__getitem__)
    return Option(
        jobs,
        sum(one.lowered.bytes for one in made.values()),
        sum(found.costs.median_ms for found in measured.values()),
        max(0.0, drops[dropped]),
        dropped,
        min(scores.values()),
    )


def _rank(option: Option, *, small: bool) -> tuple[float, float, float]:
    drop = round(option.drop, 6)  # rounding errors break no ties
    return (option.size, drop, option.latency) if small else (drop, option.size, option.latency)


def _exceeded(option: Option, budget: Mapping[str, float]) -> list[str]:
    costs = option.costs()
    return [limit for limit, most in budget.items() if costs[limit] > most + 1e-9]


def _shortfall(found: Sequence[Option], budget: Mapping[str, float], limit: str) -> str:
    """Describe how close any combination comes to a limit, of those that meet the others if there are any."""
    rest = {other: most for other, most in budget.items() if other != limit}
    inside = [option for option in found if not _exceeded(option, rest)]
    least = min(option.costs()[limit] for option in inside or found)
    unit, over = _UNITS[limit][0], least - budget[limit]
    given = f" with {' and '.join(rest)} met" if rest and inside else ""
    if over <= 0:
        return f"{limit} can be met, but not with the others"
    return f"{limit} is {_amount(least)} {unit} at least{given}, {_amount(over)} {unit} over"


def _amount(value: float) -> str:
    """Write an amount with enough digits to distinguish it from 0, and without an exponent."""
    return f"{value:.{max(2, 2 - math.floor(math.log10(value)))}f}".rstrip("0").rstrip(".") if value else "0"
