"""A fleet in words and in cells, for the terminal and the page."""

from sensemble_apps.console.estimates import INTERVAL, ends, percent_within
from sensemble_apps.console.wording import percent, sensor_title
from sensemble_apps.tables.fleet import Deployed, FaultCost, UnlikeDevice

PART = ("expected", INTERVAL, "unsure", "audited", "hours", "devices")
FAULT = ("times", "answers without", "wrong for it")
UNLIKE = ("measure", "here", "its peers", "p")


def part(one: Deployed) -> tuple[str, ...]:
    """Return the cells of a part of a fleet, in the order of `PART`; shares are in per cent."""
    known = one.accuracy
    expected = (percent_within(known.value, known), ends(known)) if known else (percent(None), "")
    rest = percent(one.audited, 0), f"{one.hours:,.1f}", str(one.devices)
    return (*expected, percent(one.unsure), *rest)


def fault_title(one: FaultCost) -> str:
    """Write a fault: `camera lost`."""
    kind = one.fault.removeprefix(one.modality).lstrip()
    return f"{sensor_title(one.modality)} {kind}" if one.modality else one.fault


def fault(one: FaultCost) -> tuple[str, ...]:
    """Return the cells of a fault, in the order of `FAULT`; shares of all answers are in per cent."""
    return f"{one.times:,}", percent(one.answers, 2), percent(one.lost, 2)


def unlike(one: UnlikeDevice) -> tuple[str, ...]:
    """Return the cells of a device unlike its peers, in the order of `UNLIKE`."""
    title = "unsure" if one.measure == "unsure" else "expected"
    chance = "<0.001" if one.p < 0.001 else f"{one.p:.3f}"
    return title, percent(one.value), percent(one.peers), chance
