"""The gate: criteria that an audit must meet, judged by the pessimistic end of each interval.

A requirement is a list such as `audio>=0.6,P>=0.8,R>=0.5,drop.microphone<=0.1`. The verdict on each is

- `met`, where the pessimistic end of its interval meets the limit;
- `too few` examples, where only the optimistic end meets it and the interval is wider than `scores.WIDE`,
  and where no example has all its sensors;
- `failed` otherwise.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sensemble_runtime import subsets
from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.errors import SensembleRuntimeError
from sensemble_runtime.scores import Estimate
from sensemble_runtime.subsets import Subset

Verdict = Literal["met", "failed", "too few"]

_FORM = "write criteria as audio>=0.6,audio+video>=0.7,P>=0.8,R>=0.5,drop.audio<=0.1"
_CRITERION = re.compile(r"\s*([^<>=\s]*)\s*(>=|<=|[<>=]+)\s*(\S*)\s*")
_DROP = "drop."
_WHOLE: dict[str, Literal["P", "R"]] = {"P": "P", "R": "R"}


class GateError(SensembleRuntimeError):
    """A requirement cannot be read, or names a sensor that the bundle does not have."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """A bound on one number of an audit."""

    text: str
    kind: Literal["score", "P", "R", "drop"]  # `drop`: the loss of accuracy without a sensor
    subset: Subset  # of a score, or the one modality or device of a drop; else empty
    limit: float  # in [0, 1]: the least score, or the largest drop


@dataclass(frozen=True, slots=True)
class Judgement:
    """A criterion and an audit's verdict on it."""

    criterion: Criterion
    verdict: Verdict
    estimate: Estimate | None  # None where no example has all its sensors
    n: int  # the number of examples; of P, those of the set that has fewest


def parse(
    text: str,
    modalities: Sequence[str],
    sensors: Mapping[str, str] | None = None,
    devices: Iterable[str] = (),
) -> list[Criterion]:
    """Read criteria joined with commas, also by the words of `sensors`, such as `{"microphone": "audio"}`.

    A drop may be of one of `devices`.
    """
    words = {m: m for m in modalities} | dict(sensors or {})
    lost = words | {device: device for device in devices}
    parts = [part.strip() for part in text.split(",")]
    criteria = [_criterion(part, lost if part.startswith(_DROP) else words) for part in parts]
    seen: dict[tuple[str, Subset], Criterion] = {}
    for one in criteria:
        about = one.kind, one.subset
        if about in seen:
            raise GateError(f"{one.text}: {seen[about].text} is about the same; keep one of them")
        seen[about] = one
    return criteria


def judge(criteria: Sequence[Criterion], measures: Measures) -> list[Judgement]:
    """Judge each criterion on an audit's measures."""
    return [_judged(criterion, measures) for criterion in criteria]


def _criterion(text: str, words: Mapping[str, str]) -> Criterion:
    match = _CRITERION.fullmatch(text)
    if match is None:
        raise GateError(f"{text or 'an empty criterion'}: not a criterion; {_FORM}")
    name, sign, number = match.groups()
    drop = name.startswith(_DROP)
    if sign != ("<=" if drop else ">="):
        wanted = "a drop has a largest value" if drop else "a score has a least value"
        raise GateError(f"{text}: {wanted}; write {name}{'<=' if drop else '>='}{number}")
    try:
        limit = float(number)
    except ValueError:
        limit = -1.0
    if not 0 <= limit <= 1:
        raise GateError(f"{text}: {number or 'no limit'} is no share from 0 to 1; write {name}{sign}0.6")
    if name in _WHOLE:
        return Criterion(text, _WHOLE[name], (), limit)
    subset = _subset(text, name.removeprefix(_DROP), words)
    if not drop:
        return Criterion(text, "score", subset, limit)
    if len(subset) > 1:
        raise GateError(f"{text}: a drop is of one sensor; write {_DROP}{subset[0]}{sign}{number}")
    if len(set(words.values())) == 1:
        raise GateError(f"{text}: the bundle has one sensor, and nothing is left without it; leave this out")
    return Criterion(text, "drop", subset, limit)


def _subset(text: str, name: str, words: Mapping[str, str]) -> Subset:
    names = name.split("+")
    unknown = next((word for word in names if word not in words), None)
    if unknown is not None:
        what = f"no sensor is called {unknown!r}" if unknown else "it names no sensor"
        raise GateError(f"{text}: {what}; there are {', '.join(words)}, and P, R")
    subset = tuple(sorted(words[word] for word in names))
    if len(set(subset)) < len(subset):
        raise GateError(f"{text}: names {max(subset, key=subset.count)} twice; name each sensor once")
    return subset


def _judged(criterion: Criterion, measures: Measures) -> Judgement:
    value, n = _number(criterion, measures)
    if value is None:
        return Judgement(criterion, "too few", None, 0)
    drop = criterion.kind == "drop"
    pessimistic, optimistic = (-value.high, -value.low) if drop else (value.low, value.high)
    limit = -criterion.limit if drop else criterion.limit
    verdict: Verdict = "failed"
    if pessimistic >= limit:
        # P and R are of every set of sensors; the score of a set that no example has may be anything.
        verdict = "too few" if criterion.kind in ("P", "R") and measures.unscored else "met"
    elif value.too_few and optimistic >= limit:
        verdict = "too few"
    return Judgement(criterion, verdict, value, n)


def _number(criterion: Criterion, measures: Measures) -> tuple[Estimate | None, int]:
    least = min(score.n for score in measures.subsets.values())
    if criterion.kind == "P":
        return measures.mean, least
    if criterion.kind == "R":
        return measures.least, measures.subsets[measures.worst].n
    if criterion.kind == "drop":
        return measures.drops.get(criterion.subset[0]), least
    score = measures.subsets.get(subsets.name(criterion.subset))
    return (None, 0) if score is None else (Estimate(score.accuracy, score.low, score.high), score.n)
