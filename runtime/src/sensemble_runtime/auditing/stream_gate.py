"""The gate of streams: bounds on what is found and on false events an hour, by the pessimistic end."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sensemble_runtime import subsets
from sensemble_runtime.auditing.gate import Criterion, CriterionKind, GateError, Judgement, Verdict
from sensemble_runtime.scores import Estimate, StreamScore

FORMS = ("found>=0.9", "false_per_hour<=1", "false_per_hour.audio<=2")
_CRITERION = re.compile(r"\s*(found|false_per_hour)(?:\.([^<>=\s]+))?\s*(>=|<=)\s*([0-9.]+)\s*")
_SIGNS = {"found": ">=", "false_per_hour": "<="}


def is_of_streams(text: str) -> bool:
    """True of a criterion that is judged on streams."""
    return re.match(rf"\s*({'|'.join(_SIGNS)})\b", text) is not None


def parse(
    text: str, modalities: Sequence[str], sensors: Mapping[str, str] = MappingProxyType({})
) -> list[Criterion]:
    """Read criteria joined with commas; a set is named as in `gate.parse`, all sensors by none."""
    words = {m: m for m in modalities} | dict(sensors)
    return [_criterion(part.strip(), words) for part in text.split(",")]


def _criterion(text: str, words: Mapping[str, str]) -> Criterion:
    match = _CRITERION.fullmatch(text)
    if match is None or match[3] != _SIGNS[match[1]]:
        raise GateError(f"{text or 'an empty criterion'}: not one of streams; write {', '.join(FORMS)}")
    names = match[2].split("+") if match[2] else []
    if unknown := next((name for name in names if name not in words), None):
        raise GateError(f"{text}: no sensor is called {unknown!r}; there are {', '.join(words)}")
    kind: CriterionKind = "found" if match[1] == "found" else "false_per_hour"
    try:
        limit = float(match[4])
    except ValueError as error:
        raise GateError(f"{text}: {match[4]} is no number; write {FORMS[0]}") from error
    return Criterion(text, kind, tuple(sorted(words[name] for name in names)), limit)


def judge(criteria: Sequence[Criterion], scores: Sequence[StreamScore]) -> list[Judgement]:
    """Judge each criterion on the undegraded scores.

    It is met where the pessimistic end of the interval meets the limit, failed where the optimistic end does
    not, and otherwise the hours are too few. Without scores, no stream was audited.
    """
    clean = {one.subset: one for one in scores if not one.condition}
    every = max(clean, key=lambda name: name.count("+"), default="")
    return [_judged(one, clean.get(subsets.name(one.subset) if one.subset else every)) for one in criteria]


def _judged(criterion: Criterion, score: StreamScore | None) -> Judgement:
    if score is None or (criterion.kind == "found" and score.found is None):
        return Judgement(criterion, "too few", None, 0)
    if criterion.kind == "found":
        value = Estimate(score.found or 0.0, score.found_low, score.found_high)
        good, bad = value.low >= criterion.limit, value.high < criterion.limit
    else:
        value = Estimate(score.false_per_hour, score.low, score.high)
        good, bad = value.high <= criterion.limit, value.low > criterion.limit
    verdict: Verdict = "met" if good else "failed" if bad else "too few"
    return Judgement(criterion, verdict, value, score.spans)


def line(judgement: Judgement) -> str:
    """Write a judgement: the criterion, its verdict, and the number with its interval."""
    one, value = judgement.criterion, judgement.estimate
    if value is None:
        return f"{one.text}: too few: no stream has these sensors, or none has a span"
    what, scale = ("% are found", 100) if one.kind == "found" else ("false events an hour", 1)
    low, high = scale * value.low, scale * value.high
    return f"{one.text}: {judgement.verdict}: {scale * value.value:.3g} {what} ({low:.3g} to {high:.3g})"
