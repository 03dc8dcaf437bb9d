"""The gate: criteria that an audit must meet, judged by the pessimistic end of each interval.

A requirement is a list of `NUMBER>=LIMIT` and `NUMBER<=LIMIT`, as `FORMS` has them. The verdict on each is

- `met`, where the pessimistic end of its interval meets the limit;
- `too few` examples, where only the optimistic end meets it and the interval is wider than `scores.WIDE`,
  and where the audit has no such number: no example has all its sensors, or the condition was left out;
- `failed` otherwise.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.auditing.comparison import Comparison
from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.auditing.reliability import Answered, Outcomes
from sensemble_runtime.errors import SensembleRuntimeError
from sensemble_runtime.scores import ConditionScore, Estimate
from sensemble_runtime.subsets import Subset

Verdict = Literal["met", "failed", "too few"]
CriterionKind = Literal[
    "score", "P", "R", "drop", "gain", "wrong", "unsure", "under", "found", "false_per_hour"
]

FORMS = (
    "audio+video>=0.7",  # the score of a set; `all` is the set of all sensors
    "P>=0.8",
    "R>=0.5",
    "drop.audio<=0.1",  # the loss of the score without a sensor or a device
    "gain.audio>=-0.02",  # the least gain of the score by adding a sensor
    "wrong<=0.05",  # the share of sure and wrong answers with all sensors; `wrong.audio` with a set
    "unsure<=0.3",
    "under.camera.dark:3>=0.6",  # of all sensors under a condition; without a severity, the worst
    "all.B-A>=-0.01",  # from A to B, also `wrong.B-A<=0.01`; `drop.B-A` is any set's largest loss
)
_FORM = f"write criteria as {','.join(FORMS)}"
_CRITERION = re.compile(r"\s*([^<>=\s]*)\s*(>=|<=|[<>=]+)\s*(\S*)\s*")
_CHANGE = ".B-A"
_NAMED: dict[str, CriterionKind] = {
    kind: kind for kind in ("P", "R", "drop", "gain", "wrong", "unsure", "under")
}
_WHOLE = ("all", "P", "R", "wrong", "unsure")  # criteria of all sensors, by their whole name
_BOUNDED = ("drop", "wrong", "unsure")  # which have a largest value; the others have a least one


class GateError(SensembleRuntimeError):
    """A requirement cannot be read, or names a sensor that the bundle does not have."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """A bound on one number of an audit, or on its change from audit A to audit B."""

    text: str
    kind: CriterionKind
    subset: Subset  # live; of `drop`, `gain` and `under` the one modality or device; else empty: all sensors
    limit: float
    condition: str = ""  # of `under`: a name, or a name and a severity, `dark:3`
    change: bool = False

    @property
    def most(self) -> bool:
        """True if the limit is the largest value, not the least."""
        return self.kind in _BOUNDED


@dataclass(frozen=True, slots=True)
class Judgement:
    """A criterion and an audit's verdict on it."""

    criterion: Criterion
    verdict: Verdict
    estimate: Estimate | None  # None where the audit has no such number
    n: int  # the number of examples; of P, those of the set that has fewest


def parse(
    text: str,
    modalities: Sequence[str],
    sensors: Mapping[str, str] = MappingProxyType({}),
    devices: Mapping[str, Subset] = MappingProxyType({}),
) -> list[Criterion]:
    """Read criteria joined with commas, also by the words of `sensors`, such as `{"microphone": "audio"}`.

    A drop and a condition may be of one of `devices` (`spec.devices`).
    """
    words = {m: m for m in modalities} | dict(sensors)
    criteria = [_criterion(part.strip(), words, devices) for part in text.split(",")]
    seen: dict[tuple[object, ...], Criterion] = {}
    for one in criteria:
        about = one.kind, one.subset, one.condition, one.change
        if about in seen:
            raise GateError(f"{one.text}: {seen[about].text} is about the same; keep one of them")
        seen[about] = one
    return criteria


def judge(
    criteria: Sequence[Criterion],
    measures: Measures,
    answered: Answered | None = None,
    conditions: Sequence[ConditionScore] = (),
    comparison: Comparison | None = None,
) -> list[Judgement]:
    """Judge each criterion on what an audit measured, or on its comparison with an earlier one.

    Raises GateError for a change without a comparison.
    """
    if not comparison:
        check_of_one(criteria)
    judged = []
    for one in criteria:
        value, n = (
            _change(one, comparison, measures.every)
            if comparison and one.change
            else _number(one, measures, answered, conditions)
        )
        judged.append(_judged(one, value, n, measures))
    return judged


def check_of_one(criteria: Sequence[Criterion]) -> None:
    """Raise GateError for a change, which one audit alone cannot show."""
    if changed := next((one for one in criteria if one.change), None):
        raise GateError(f"{changed.text}: is of two audits; `sensemble compare A B --require` judges it")


def _criterion(text: str, words: Mapping[str, str], devices: Mapping[str, Subset]) -> Criterion:
    match = _CRITERION.fullmatch(text)
    if match is None:
        raise GateError(f"{text or 'an empty criterion'}: not a criterion; {_FORM}")
    whole, sign, number = match.groups()
    name, change = whole.removesuffix(_CHANGE), whole.endswith(_CHANGE)
    prefix, _, rest = name.partition(".")
    kind = _NAMED.get(prefix, "score")
    if kind == "score" and not change and name not in _WHOLE:
        _subset(text, name, words)  # before its sign: a name that is none takes no limit
    if sign != (wanted := "<=" if kind in _BOUNDED else ">="):
        which = f"{prefix} has a largest" if kind in _BOUNDED else "a score has a least"
        raise GateError(f"{text}: {which} value; write {whole}{wanted}{number}")
    limit = _limit(text, whole + sign, number, signed=change or kind in ("drop", "gain"))
    if change:
        if kind not in ("score", "wrong", "unsure") and name != "drop":
            raise GateError(f"{text}: compare a set, all, drop, wrong or unsure; write all.B-A>=-0.01")
        about = name.removeprefix("all") if kind == "score" else rest
        return Criterion(text, kind, _subset(text, about, words) if about else (), limit, change=True)
    if kind == "under":
        return _under(text, rest, words, devices, limit)
    if kind in ("drop", "gain"):
        lost = devices if kind == "drop" else {}
        return Criterion(text, kind, _one(text, kind, rest, {**words, **{d: d for d in lost}}), limit)
    if name in _WHOLE:
        return Criterion(text, kind, (), limit)
    return Criterion(text, kind, _subset(text, name if kind == "score" else rest, words), limit)


def _one(text: str, kind: CriterionKind, name: str, words: Mapping[str, str]) -> Subset:
    subset = _subset(text, name, words)
    if len(subset) > 1:
        raise GateError(f"{text}: a {kind} is of one sensor; write {kind}.{subset[0]}")
    if len({*words.values()}) == 1:
        raise GateError(f"{text}: the bundle has one sensor, and nothing is left without it; leave this out")
    return subset


def _under(
    text: str, name: str, words: Mapping[str, str], devices: Mapping[str, Subset], limit: float
) -> Criterion:
    sensor, _, condition = name.rpartition(".")
    known = {**words, **{device: subsets.name(some) for device, some in devices.items()}}
    if not condition or sensor not in known:
        raise GateError(f"{text}: write under.SENSOR.CONDITION>=0.6; the sensors are {', '.join(known)}")
    return Criterion(text, "under", subsets.parse(known[sensor]), limit, condition)


def _limit(text: str, start: str, number: str, *, signed: bool) -> float:
    try:
        limit = float(number)
    except ValueError:
        limit = -2.0
    if not (-1 if signed else 0) <= limit <= 1:
        what = "difference from -1 to 1" if signed else "share from 0 to 1"
        raise GateError(f"{text}: {number or 'no limit'} is no {what}; write {start}{0.1 if signed else 0.6}")
    return limit


def _subset(text: str, name: str, words: Mapping[str, str]) -> Subset:
    names = name.split("+")
    unknown = next((word for word in names if word not in words), None)
    if unknown is not None:
        what = f"no sensor is called {unknown!r}" if unknown else "it names no sensor"
        raise GateError(f"{text}: {what}; there are {', '.join(words)}, and {', '.join(_WHOLE)}")
    subset = tuple(sorted(words[word] for word in names))
    if len(set(subset)) < len(subset):
        raise GateError(f"{text}: names {max(subset, key=subset.count)} twice; name each sensor once")
    return subset


def _judged(criterion: Criterion, value: Estimate | None, n: int, measures: Measures) -> Judgement:
    if value is None:
        return Judgement(criterion, "too few", None, 0)
    pessimistic, optimistic = (-value.high, -value.low) if criterion.most else (value.low, value.high)
    limit = -criterion.limit if criterion.most else criterion.limit
    verdict: Verdict = "failed"
    if pessimistic >= limit:
        # P and R are of every set of sensors; the score of a set that no example has may be anything.
        verdict = "too few" if criterion.kind in ("P", "R") and measures.unscored else "met"
    elif value.too_few and optimistic >= limit:
        verdict = "too few"
    return Judgement(criterion, verdict, value, n)


def _number(
    criterion: Criterion,
    measures: Measures,
    answered: Answered | None,
    conditions: Sequence[ConditionScore],
) -> tuple[Estimate | None, int]:
    least = min(score.n for score in measures.subsets.values())
    name = subsets.name(criterion.subset) if criterion.subset else measures.every
    score = measures.subsets.get(name)
    numbers: dict[CriterionKind, Callable[[], tuple[Estimate | None, int]]] = {
        "P": lambda: (measures.mean, least),
        "R": lambda: (measures.least, measures.subsets[measures.worst].n),
        "drop": lambda: (measures.drops.get(name), least),
        "gain": lambda: (_least([*measures.gains.get(name, {}).values()]), least),
        "wrong": lambda: _share(answered, name, lambda outcomes: outcomes.wrong),
        "unsure": lambda: _share(answered, name, lambda outcomes: ~outcomes.sure),
        "under": lambda: _degraded(criterion, name, measures.every, conditions),
        "score": lambda: (Estimate(score.accuracy, score.low, score.high), score.n) if score else (None, 0),
    }
    return numbers[criterion.kind]()


def _degraded(
    criterion: Criterion, modality: str, every: str, conditions: Sequence[ConditionScore]
) -> tuple[Estimate | None, int]:
    condition, _, severity = criterion.condition.partition(":")
    scores = [
        one.score
        for one in conditions
        if (one.modality, one.condition, one.subset) == (modality, condition, every)
        and severity in ("", str(one.severity))
    ]
    found = _least([Estimate(one.accuracy, one.low, one.high) for one in scores])
    return found, min((one.n for one in scores), default=0)


def _change(criterion: Criterion, found: Comparison, every: str) -> tuple[Estimate | None, int]:
    name = subsets.name(criterion.subset) if criterion.subset else every
    if criterion.kind == "drop":
        return found.drop, min(one.n for one in found.sets.values())
    one = found.sets.get(name)
    if one is None:
        return None, 0
    return {"score": one.change, "wrong": one.wrong, "unsure": one.unsure}[criterion.kind], one.n


def _share(
    answered: Answered | None, name: str, which: Callable[[Outcomes], NDArray[np.bool_]]
) -> tuple[Estimate | None, int]:
    if answered is None or name not in answered.sets:
        return None, 0
    outcomes = answered.sets[name]
    return answered.share(name, which(outcomes)), len(outcomes.rows)


def _least(estimates: Sequence[Estimate]) -> Estimate | None:
    """Return the least of some numbers; its ends are the lowest of all ends."""
    if not estimates:
        return None
    return Estimate(*(min(getattr(one, end) for one in estimates) for end in ("value", "low", "high")))
