"""The search: schemes per modality, all combinations of them, and the best bundle within a budget.

Each modality is exported and measured once with each scheme. As pooling is a mean, what a combination costs
in accuracy on every subset of sensors is then arithmetic on embeddings that are there already.
"""

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sensemble_runtime.executors.executor import missing
from sensemble_runtime.progress import Progress

from sensemble_export.artifact_store import Workshop
from sensemble_export.errors import BudgetError, ExportError, ParityFailedError
from sensemble_export.parity import FLOATS, least_cosine
from sensemble_export.sensitivity import hurting, sensitivity
from sensemble_export.targets import TARGETS, Job

_UNITS = {"size": ("MB", 1e6), "latency": ("ms", 1.0), "drop": ("points", 1.0)}
_TERM = re.compile(r"(size|latency|drop)=(\d+(?:\.\d+)?)(MB|ms)?")
_NOTICED = 0.999  # the mean cosine from which on there is nothing to win by keeping layers float


@dataclass(frozen=True, slots=True)
class Option:
    """A combination: one artifact for each modality.

    Attributes:
        jobs: the artifacts.
        size: bytes of all of them.
        latency: milliseconds to encode a window of each, one after another (medians).
        drop: by how many points accuracy falls on the subset where it falls most; never below 0.
        hurt: that subset.
        worst: the accuracy of the subset that is worst off, as a fraction.
    """

    jobs: tuple[Job, ...]
    size: int
    latency: float
    drop: float
    hurt: str
    worst: float

    def costs(self) -> dict[str, float]:
        """Return what a budget limits, in the budget's units."""
        return {"size": self.size / 1e6, "latency": self.latency, "drop": self.drop}


def parse_budget(text: str) -> dict[str, float]:
    """Read `size=20MB,latency=30ms,drop=1.0`: MB (10^6 bytes), milliseconds, points; any of the three.

    Raises:
        BudgetError: it is not written so.
    """
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
    """Refuse targets that this machine cannot run, and so cannot be searched for here.

    Raises:
        BudgetError: there is one.
    """
    for target in targets:
        if lacking := missing(target):
            raise BudgetError(
                f"a search measures, and {target} {lacking}; search for another target, or there"
            )


def options(
    shop: Workshop, target: str, progress: Callable[[str], Progress], remark: Callable[[str], None]
) -> list[Option]:
    """Export every modality with every scheme of `target`, and with layers kept float, and combine them.

    Args:
        shop: where they are made; the held-out examples must have labels, and be none of `eval`, on which
            what is chosen is reported (`Workshop.measure_on`).
        target: one that this machine can run.
        progress: given a stage's name, what to call with (steps done, steps in all).
        remark: called with a line for each artifact that cannot be made or run, and so is left out.

    Returns:
        The combinations of artifacts whose parity is good, in no order.

    Raises:
        BudgetError: the held-out examples have no labels.
        CalibrationMissingError: a modality has no calibration windows, on which layers are swept.
        NotLowerableError, MeasurementError: no scheme of some modality can be made or run.
        ParityFailedError: no scheme is good enough for some modality.
    """
    if shop.held_out.targets is None:
        raise BudgetError("a search counts accuracy, and the held-out examples have no labels; add some")
    shop.check_calibration(shop.model.modalities)
    schemes = TARGETS[target].schemes
    failed: dict[Job, ExportError] = {}
    plain = [Job(modality, target, scheme) for scheme in schemes for modality in shop.model.modalities]
    shop.make(plain, progress("schemes"), failed)
    made = [job for job in plain if job not in failed]
    mixed = [mix for job in made if (mix := _mixed(shop, job)) is not None]
    shop.make(mixed, progress("mixed precision"), failed)
    made += [job for job in mixed if job not in failed]
    for error in failed.values():
        remark(f"left out of the search: {error}")
    good = [job for job in made if _cosine(shop, job) >= least_cosine(job.scheme)]
    choices = [[job for job in good if job.modality == m] for m in shop.model.modalities]
    for modality, jobs in zip(shop.model.modalities, choices, strict=True):
        if not jobs:
            cosines = [_cosine(shop, job) for job in made if job.modality == modality]
            if not cosines:
                raise failed[Job(modality, target, schemes[0])]
            nearest = max(cosines)
            raise ParityFailedError(
                f"{modality}: no scheme of {target} gives the trained encoder's embeddings (mean cosine "
                f"{nearest:.5f} at most), not even {schemes[0]}; file it as a bug"
            )
    floats = shop.scores(shop.expected)
    return [_option(shop, jobs, floats) for jobs in itertools.product(*choices)]


def best(found: Sequence[Option], budget: dict[str, float]) -> Option:
    """Return the best combination within the budget.

    With a limit on the drop that is the smallest one, without the one that drops least; equals are decided
    by the other, then by latency.

    Raises:
        BudgetError: there is none; names each limit that cannot be met, and by how much.
    """
    within = [option for option in found if not _exceeded(option, budget)]
    if within:
        return min(within, key=lambda option: _rank(option, small="drop" in budget))
    raise BudgetError(
        f"none of {len(found)} combinations is within the budget: "
        + "; ".join(_shortfall(found, budget, limit) for limit in budget)
        + "; raise the budget, or train a smaller model"
    )


def front(found: Sequence[Option]) -> list[Option]:
    """Return the combinations than which no other is at least as small, as fast and as accurate."""
    ordered = sorted(found, key=lambda option: tuple(option.costs().values()))
    kept: list[Option] = []
    for option in ordered:
        costs = option.costs()
        if not any(all(other.costs()[c] <= costs[c] for c in costs) for other in kept):
            kept.append(option)
    return kept


def _mixed(shop: Workshop, job: Job) -> Job | None:
    """Return `job` with the layers that it hurts kept float, if it does hurt."""
    if job.scheme in FLOATS or _cosine(shop, job) >= _NOTICED:
        return None
    encoder, windows = shop.model.encoders[job.modality], shop.calibration[job.modality]
    kept = hurting(sensitivity(encoder, windows, job.target, job.scheme))
    return replace(job, kept=kept) if kept else None


def _cosine(shop: Workshop, job: Job) -> float:
    parity = shop.made[job].parity
    assert parity is not None  # noqa: S101 - the target runs here
    return parity.cosine


def _option(shop: Workshop, jobs: tuple[Job, ...], floats: dict[str, float]) -> Option:
    made = {job.modality: shop.made[job] for job in jobs}
    measured = {m: one.measured for m, one in made.items() if one.measured is not None}
    scores = shop.scores({m: found.embeddings for m, found in measured.items()})
    drops = {subset: 100 * (floats[subset] - score) for subset, score in scores.items()}
    hurt = max(drops, key=drops.__getitem__)
    return Option(
        jobs,
        sum(one.bytes for one in made.values()),
        sum(found.median_ms for found in measured.values()),
        max(0.0, drops[hurt]),
        hurt,
        min(scores.values()),
    )


def _rank(option: Option, *, small: bool) -> tuple[float, float, float]:
    drop = round(option.drop, 6)  # not by how fractions round
    return (option.size, drop, option.latency) if small else (drop, option.size, option.latency)


def _exceeded(option: Option, budget: dict[str, float]) -> list[str]:
    costs = option.costs()
    return [limit for limit, most in budget.items() if costs[limit] > most + 1e-9]


def _shortfall(found: Sequence[Option], budget: dict[str, float], limit: str) -> str:
    """Say how near one comes to a limit: with the others met, if that can be."""
    rest = {other: most for other, most in budget.items() if other != limit}
    inside = [option for option in found if not _exceeded(option, rest)]
    least = min(option.costs()[limit] for option in inside or found)
    unit, over = _UNITS[limit][0], least - budget[limit]
    given = f" with {' and '.join(rest)} met" if rest and inside else ""
    if over <= 0:
        return f"{limit} can be met, but not with the others"
    return f"{limit} is {_amount(least)} {unit} at least{given}, {_amount(over)} {unit} over"


def _amount(value: float) -> str:
    """Write an amount with enough digits to tell it from 0, and never as a power of ten."""
    return f"{value:.{max(2, 2 - math.floor(math.log10(value)))}f}".rstrip("0").rstrip(".") if value else "0"
