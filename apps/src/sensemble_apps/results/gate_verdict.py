"""Write the verdicts of a gate on an audit, in words and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.auditing import gate
from sensemble_runtime.auditing.gate import Criterion, Judgement
from sensemble_runtime.auditing.measures import Measures
from sensemble_sensors.spec import InputSpec, devices

from sensemble_apps.console.estimates import TOO_FEW, number
from sensemble_apps.console.kinds import words_of
from sensemble_apps.console.wording import words
from sensemble_apps.errors import GateUnmetError

_FAILED, _UNCLEAR = 3, 4  # exit statuses: a criterion failed; none did, but the examples are too few
_VERDICTS = {"met": "met", "failed": "failed", "too few": TOO_FEW}


def parse(text: str, specs: Mapping[str, InputSpec]) -> list[Criterion]:
    """Read criteria on a bundle, also by plain words for its sensors."""
    return gate.parse(text, sorted(specs), sensor_words(sorted(specs)), devices(specs))


def sensor_words(modalities: Sequence[str]) -> dict[str, str]:
    """Return the modality that each plain word for a sensor, such as `microphone`, alone means."""
    kinds = [words_of(modality).sensor for modality in modalities]
    return {word: m for word, m in zip(kinds, modalities, strict=True) if kinds.count(word) == 1}


def line(judgement: Judgement, measures: Measures, metric: str) -> str:
    """Write a judgement: the criterion, its verdict, and the numbers behind it."""
    criterion, estimate = judgement.criterion, judgement.estimate
    start = f"{criterion.text}: {_VERDICTS[judgement.verdict]}"
    if estimate is None:
        return f"{start}: no example has {_about(criterion.subset)}"
    limit = f"{100 * criterion.limit:g}"
    if criterion.kind == "drop":
        lost = f"{metric} falls by {number(estimate.value, estimate, ' points')} of {judgement.n} examples"
        return f"{start}: without {_about(criterion.subset)}, {lost}; at most {limit} points are allowed"
    more = " or more" if criterion.kind == "P" and len({s.n for s in measures.subsets.values()}) > 1 else ""
    said = (
        f"{number(estimate.value, estimate)} of {judgement.n}{more} examples; at least {limit} % is required"
    )
    if criterion.kind == "score":
        return f"{start}: with {_about(criterion.subset)}, {metric} is {said}"
    if measures.unscored:
        said = f"{said}; no example has {', '.join(measures.unscored)}"
    if criterion.kind == "P":
        return f"{start}: the mean over all sets of sensors is {said}"
    lowest = min(measures.subsets, key=lambda name: measures.subsets[name].low)
    worst = f"the worst set of sensors is {_about(subsets.parse(measures.worst))}"
    if lowest != measures.worst:
        said = f"{said}; its interval reaches as low as that of {_about(subsets.parse(lowest))}"
    return f"{start}: {worst}, with {said}"


def _about(subset: Sequence[str]) -> str:
    said, name = words([words_of(modality).sensor for modality in subset]), subsets.name(subset)
    return said if said == name else f"{said} ({name})"


def to_json(judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """Return the judgements for `json.dumps`."""
    return [
        {
            "criterion": one.criterion.text,
            "verdict": one.verdict,
            **(asdict(one.estimate) if one.estimate else {"value": None, "low": None, "high": None}),
            "n": one.n,
        }
        for one in judgements
    ]


def enforce(judgements: Sequence[Judgement]) -> None:
    """Raise GateUnmetError unless every criterion is met."""
    failed = [one.criterion.text for one in judgements if one.verdict == "failed"]
    if failed:
        raise GateUnmetError(f"the gate failed: {', '.join(failed)}", _FAILED)
    unclear = [one.criterion.text for one in judgements if one.verdict == "too few"]
    if unclear:
        raise GateUnmetError(
            f"too few examples to judge {', '.join(unclear)}: audit more, or lower the limits", _UNCLEAR
        )
