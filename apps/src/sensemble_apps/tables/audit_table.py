"""An audit's scores and the reliability of its answers, as tables and in sentences."""

from collections.abc import Iterator

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.auditing.reliability import Reliability
from sensemble_runtime.scores import Estimate, SubsetScore
from sensemble_runtime.subsets import Subset
from sensemble_sensors.errors import counted

from sensemble_apps.console import wording
from sensemble_apps.console.columns import table
from sensemble_apps.console.estimates import (
    INTERVAL,
    at_chance,
    change,
    ends,
    examples,
    number,
    percent_within,
)
from sensemble_apps.console.kinds import loss, words_of
from sensemble_apps.console.wording import class_words, percent, sensor_words, set_title, words

_NAMED = 10  # classes without an example
_RELIABILITY = ("right", "confidence", "unsure", "sure, wrong", "right, unsure", "ECE", "by chance")
_CAPTION = (
    "sure, wrong: share of all answers; right, unsure: share of the right answers that is held back; ECE: "
    "expected calibration error, the gap between confidence and accuracy, in points; by chance: the ECE of a "
    "perfectly calibrated classifier on as many examples"
)


def scores(result: AuditResult) -> Table:
    """Return the score of each set of sensors, P and R."""
    drawn = table(("live",), ("score", INTERVAL, "examples"), f"{result.metric}, %")
    for name, score in result.subsets.items():
        style = "dim" if score.too_few else "yellow" if name == result.worst else ""
        value = percent_within(score.accuracy, score)
        row = value, ends(score), examples(score.n, score)
        drawn.add_row(set_title(subsets.parse(name)), *row, style=style)
    for name in result.unscored:
        drawn.add_row(set_title(subsets.parse(name)), percent(None), percent(None), "none")
    drawn.add_section()
    for title, one in (("P, the mean", result.mean), ("R, the worst", result.least)):
        drawn.add_row(title, percent_within(one.value, one), ends(one))
    return drawn


def additions(measures: Measures) -> Iterator[tuple[str, str, Estimate]]:
    """Yield each sensor's smallest gain, and its gain to all others: the modality, the set and the gain."""
    for modality, gains in measures.gains.items():
        sets = {min(gains, key=lambda name: gains[name].value), max(gains, key=lambda name: name.count("+"))}
        yield from ((modality, name, gain) for name, gain in gains.items() if name in sets)


def added(result: AuditResult) -> Table:
    """Return each sensor's smallest gain, and its gain to all others."""
    title = f"A sensor added, points of {result.metric}"
    drawn = table(("sensor", "to"), ("gains", INTERVAL), title)
    for modality, name, gain in additions(result):
        style = "dim" if gain.too_few else "yellow" if gain.high < 0 else ""
        sets = set_title([modality]), set_title(subsets.parse(name))
        drawn.add_row(*sets, percent_within(gain.value, gain), ends(gain), style=style)
    return drawn


def cautions(result: AuditResult) -> Iterator[str]:
    """Yield the sets that a sensor makes worse, the sensors at chance, and the classes without an example."""
    for modality, gains in result.gains.items():
        for name, gain in gains.items():
            if gain.high < 0:
                drop = Estimate(-gain.value, -gain.high, -gain.low)
                text = change(result.metric, result.subsets[name].accuracy, drop)
                others = words([words_of(m).sensor for m in subsets.parse(name)])
                yield f"Adding {words_of(modality).sensor} to {others} hurts: {text}."
    for name in result.at_chance:
        if "+" not in name:
            yield at_chance(name, result.subsets[name], result.chance[name])
    shown = {label for truth in result.answered.truth for label in truth}
    if unseen := [label for label in result.answered.labels if label not in shown]:
        yield f"No example of {class_words(unseen, _NAMED)}: the scores say nothing about that."


def sentences(result: AuditResult) -> Iterator[str]:
    """Yield the effect of each sensor and device, the cautions, and the number of independent groups."""
    every = max(result.subsets, key=lambda name: name.count("+"))
    before = result.subsets[every].accuracy
    for lost, drop in result.drops.items():
        yield f"If {loss(lost, subsets.parse(every))}, {change(result.metric, before, drop)}."
    yield from cautions(result)
    if result.groups < result.examples:
        groups = counted(result.groups, "independent group")
        yield f"The {result.examples} examples are of {groups}, which the intervals allow for."


def mute(result: AuditResult) -> str:
    """Write that no answer of the largest set is sure; nothing if one is."""
    outcomes = result.answered.sets
    name = max(outcomes, key=lambda one: one.count("+"))
    if outcomes[name].sure.any():
        return ""
    return f"It never answers: with {sensor_words(subsets.parse(name))}, every answer is unsure."


def sureness(result: AuditResult) -> Iterator[str]:
    """Yield the promise of sure answers, and the shares sure, wrong and held back of the largest set."""
    yield f"{result.promise[0].upper()}{result.promise[1:]}."
    name = max(result.reliability, key=lambda one: one.count("+"))
    found = result.reliability[name]
    shares = found.unsure, found.sure_wrong, found.withheld
    yield mute(result) or wording.sureness(subsets.parse(name), *shares)


def reliability(result: AuditResult) -> Table:
    """Return the reliability of each set's answers."""
    caption = _CAPTION
    if result.unfamiliar:
        by_sensor = [f"{words_of(m).sensor} {percent(share)}" for m, share in result.unfamiliar.items()]
        caption += f"; windows unlike those of training, which are left out, %: {', '.join(by_sensor)}"
    drawn = table(("live",), _RELIABILITY, "What the answers are worth, %", caption)
    for name, one in result.reliability.items():
        shares = (one.accuracy, one.confidence, one.unsure, one.sure_wrong, one.withheld)
        errors = (one.calibration_error, one.chance_error)
        title = set_title(subsets.parse(name))
        drawn.add_row(title, *(percent(share) for share in (*shares, *errors)))
    return drawn


def flaws(subset: Subset, right: SubsetScore, measured: Reliability) -> Iterator[str]:
    """Yield a sentence if a set's confidence is off; `right` is the score of the most probable class."""
    live = f"With {sensor_words(subset)}{' alone' if len(subset) == 1 else ''},"
    if not right.low <= measured.confidence <= right.high:
        flaw = "too sure" if measured.confidence > right.high else "too modest"
        text = percent_within(measured.confidence, right)
        yield (
            f"{live} it is {flaw}: it says {text} % on average, and is right in "
            f"{number(right.accuracy, right)} of the examples."
        )
