"""Read a gate, from a text or a file; write its verdicts in words, as JSON, as JUnit's XML, and as a file."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from sensemble_runtime import subsets
from sensemble_runtime.auditing import gate
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.comparison import Comparison
from sensemble_runtime.auditing.gate import Criterion, Judgement
from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.scores import CLEAN, Estimate
from sensemble_runtime.subsets import Subset
from sensemble_sensors.spec import InputSpec, devices

from sensemble_apps.console.conditions import parse_condition
from sensemble_apps.console.estimates import TOO_FEW, number
from sensemble_apps.console.kinds import words_of
from sensemble_apps.console.output import write
from sensemble_apps.console.wording import words
from sensemble_apps.errors import GateUnmetError, InputError
from sensemble_apps.tables.condition_table import phrase_of

_FAILED, _UNCLEAR = 3, 4  # exit statuses: a criterion failed; none did, but the examples are too few
_VERDICTS = {"met": "met", "failed": "failed", "too few": TOO_FEW}
_FILE = ".toml"
_KEY = "require"
Verdicts = Sequence[tuple[Judgement, str]]
"""The judgement of each criterion, with a line that has its numbers."""


def parse(text: str, modalities: Sequence[str], specs: Mapping[str, InputSpec]) -> list[Criterion]:
    """Read criteria on `modalities`, or the file that lists them, also by plain words for the sensors.

    Raises InputError for a condition that the sensor does not have. `specs` are the bundle's; empty if there
    is only a record.
    """
    criteria = gate.parse(listed(text), modalities, modalities_by_word(modalities), devices(specs))
    for one in criteria:
        for modality in one.subset if one.kind == "under" and specs else ():
            parse_condition(f"{modality}={one.condition}", specs, f"{one.text}:")
    return criteria


def listed(text: str) -> str:
    """Return criteria joined with commas: the text, or what the file of this name lists."""
    return ",".join(_listed(Path(text))) if text.endswith(_FILE) else text


def _listed(path: Path) -> list[str]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); `--template {path}` writes one"
        ) from error
    except ValueError as error:
        raise InputError(f'{path}: not TOML ({error}); write {_KEY} = ["P>=0.8"]') from error
    listed = content.get(_KEY)
    if content.keys() != {_KEY} or not isinstance(listed, list) or not listed:
        raise InputError(f'{path}: must hold {_KEY} = ["P>=0.8", ...], and nothing else')
    return [str(one) for one in listed]


def modalities_by_word(modalities: Sequence[str]) -> dict[str, str]:
    """Return the modality that each plain word for a sensor, such as `microphone`, alone means."""
    kinds = [words_of(modality).sensor for modality in modalities]
    return {word: m for word, m in zip(kinds, modalities, strict=True) if kinds.count(word) == 1}


def judged(criteria: Sequence[Criterion], audit: AuditResult, found: Comparison | None = None) -> Verdicts:
    """Judge criteria on an audit, and changes on its comparison with an earlier one."""
    verdicts = gate.judge(criteria, audit, audit.answered, audit.conditions, found)
    return [(one, _line(one, audit)) for one in verdicts]


def _line(judgement: Judgement, audit: AuditResult) -> str:
    """Write a judgement: the criterion, its verdict, and the numbers behind it."""
    criterion = judgement.criterion
    start = f"{criterion.text}: {_VERDICTS[judgement.verdict]}"
    if judgement.estimate is None and criterion.kind == "under":
        return f"{start}: not audited under {criterion.condition}; add --conditions"
    if judgement.estimate is None:
        how = "with only" if criterion.subset else "with"
        if criterion.kind in ("drop", "gain"):
            how = "with and without"
        return f"{start}: no example was answered {how} {_about(criterion.subset)}"
    estimate, change = judgement.estimate, criterion.change
    text = _changed(judgement, estimate) if change else _measured(judgement, estimate, audit)
    return f"{start}: {text}; {_bound(criterion)}"


def _bound(criterion: Criterion) -> str:
    limit = f"{100 * criterion.limit:g}"
    least = "most" if criterion.most else "least"
    if criterion.change or criterion.kind in ("drop", "gain"):
        return f"at {least} {limit} points are allowed"
    return f"at most {limit} % are allowed" if criterion.most else f"at least {limit} % is required"


def _measured(judgement: Judgement, estimate: Estimate, audit: AuditResult) -> str:
    criterion, metric = judgement.criterion, audit.metric
    about, of = _about(criterion.subset), f"of {judgement.n} examples"
    live = f"with {about}"
    share, points = number(estimate.value, estimate), number(estimate.value, estimate, " points")
    if criterion.kind in ("P", "R"):
        return _of_every_set(judgement, audit, share)
    if criterion.kind == "under":
        condition, _, severity = criterion.condition.partition(":")
        phrase = phrase_of(subsets.name(criterion.subset), condition)
        return f"with {phrase}{f' ({severity} of 5)' if severity else ''}, {metric} is {share} {of}"
    return {
        "drop": f"without {about}, {metric} falls by {points} {of}",
        "gain": f"adding {about} changes {metric} by {points} at least {of}",
        "wrong": f"{live}, {share} {of} are sure and wrong",
        "unsure": f"{live}, {share} {of} are unsure",
        "score": f"{live}, {metric} is {share} {of}",
    }[criterion.kind]


def _changed(judgement: Judgement, estimate: Estimate) -> str:
    criterion = judgement.criterion
    points, of = number(estimate.value, estimate, " points"), f"of {judgement.n} examples"
    if criterion.kind == "drop":
        return f"from A to B, any set loses {points} at most {of}"
    what = {"score": "right", "wrong": "sure and wrong", "unsure": "unsure"}[criterion.kind]
    return f"from A to B, with {_about(criterion.subset)}, the share {what} changes by {points} {of}"


def _of_every_set(judgement: Judgement, measures: Measures, share: str) -> str:
    several = len({s.n for s in measures.subsets.values()}) > 1
    if judgement.criterion.kind == "P":
        text = f"{share} of {judgement.n}{' or more' if several else ''} examples"
        none = f"; no example has {', '.join(measures.unscored)}" if measures.unscored else ""
        return f"the mean over all sets of sensors is {text}{none}"
    text = f"{share} of {judgement.n} examples"
    if measures.unscored:
        text = f"{text}; no example has {', '.join(measures.unscored)}"
    lowest = min(measures.subsets, key=lambda name: measures.subsets[name].low)
    if lowest != measures.worst:
        text = f"{text}; its interval reaches as low as that of {_about(subsets.parse(lowest))}"
    return f"the worst set of sensors is {_about(subsets.parse(measures.worst))}, with {text}"


def _about(subset: Sequence[str]) -> str:
    if not subset:
        return "all sensors"
    text, name = words([words_of(modality).sensor for modality in subset]), subsets.name(subset)
    return text if text == name else f"{text} ({name})"


def to_json(verdicts: Verdicts) -> dict[str, Any]:
    """Return the judgements for `json.dumps`, as the field `gate`, if there are any."""
    judged = [
        {
            "criterion": one.criterion.text,
            "verdict": one.verdict,
            **(asdict(one.estimate) if one.estimate else {"value": None, "low": None, "high": None}),
            "n": one.n,
        }
        for one, _ in verdicts
    ]
    return {"gate": judged} if judged else {}


def _write_junit(path: Path, verdicts: Verdicts) -> None:
    """Write a test case for each criterion, as JUnit's XML, which builds show."""
    unmet = sum(one.verdict != "met" for one, _ in verdicts)
    suite = ET.Element(
        "testsuite", name="sensemble gate", tests=str(len(verdicts)), failures=str(unmet), errors="0"
    )
    for one, text in verdicts:
        case = ET.SubElement(suite, "testcase", classname="gate", name=one.criterion.text)
        if one.verdict == "met":
            ET.SubElement(case, "system-out").text = text
        else:
            ET.SubElement(case, "failure", type=one.verdict, message=text)
    ET.indent(suite)
    write(path, '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, "unicode") + "\n")


def template(carried: Mapping[str, Subset], audit: AuditResult) -> str:
    """Return a file of criteria that this audit just meets, and the next one must also meet."""
    modalities = subsets.parse(max(audit.subsets, key=lambda name: name.count("+")))
    loose = gate.parse(",".join(_loose(modalities, carried, audit)), modalities, {}, carried)
    rows = []
    for one in gate.judge(loose, audit, audit.answered, audit.conditions):
        name, sign = re.split("([<>]=)", one.criterion.text)[:2]
        if one.estimate:
            end, rounded = (
                (one.estimate.high, math.ceil) if one.criterion.most else (one.estimate.low, math.floor)
            )
            limit = min(1.0, max(-1.0, rounded(100 * end) / 100))
            rows.append(f'  "{name}{sign}{limit:g}",  # {number(one.estimate.value, one.estimate)}')
    return "\n".join([f"{_KEY} = [", *rows, "]", ""])


def _loose(modalities: Subset, carried: Mapping[str, Subset], audit: AuditResult) -> Iterator[str]:
    """Yield criteria that everything meets."""
    yield from ("P>=0", "R>=0", "all>=0", "wrong<=1", "unsure<=1")
    yield from (f"drop.{lost}<=1" for lost in audit.drops)
    yield from (f"gain.{modality}>=-1" for modality in audit.gains)
    names = {m: m for m in modalities} | {subsets.name(some): device for device, some in carried.items()}
    found = ((one.modality, one.condition) for one in audit.conditions if one.condition != CLEAN)
    for modality, condition in dict.fromkeys(found):
        if modality in names:
            yield f"under.{names[modality]}.{condition}>=0"


def enforce(verdicts: Verdicts, junit: Path | None) -> None:
    """Write the file `junit`, if one is asked for; raise GateUnmetError unless every criterion is met."""
    if junit is not None:
        _write_junit(junit, verdicts)
    failed = [one.criterion.text for one, _ in verdicts if one.verdict == "failed"]
    if failed:
        raise GateUnmetError(f"the gate failed: {', '.join(failed)}", _FAILED)
    unclear = [one.criterion.text for one, _ in verdicts if one.verdict == "too few"]
    if unclear:
        raise GateUnmetError(
            f"too few examples to judge {', '.join(unclear)}: audit more, or lower the limits", _UNCLEAR
        )
