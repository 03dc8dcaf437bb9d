"""The accuracy of a fleet as deployed: that of each live set in an audit, weighted by its time in the field.

An engine sums up the heartbeats by device and week, asked in Ibis; the rest is small.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
from ibis import _
from numpy.typing import NDArray
from sensemble_runtime import subsets
from sensemble_runtime.auditing.comparison import ALPHA, MARGIN, holm
from sensemble_runtime.auditing.intervals import LEVEL, student, student_tail
from sensemble_runtime.scores import Estimate, SubsetScore

from sensemble_apps.errors import InputError
from sensemble_apps.tables import heartbeat_files

_WEEK = 7 * 86400  # seconds
_MONDAY = 4 * 86400  # the first since 1970, a Thursday
_NAMES = ("bundle", "model", "week", "device")
_SUMS = ("seconds", "known", "right", "low", "high", "answers", "unsure")
_PEERS = 5  # devices of a model, at least, among which one may be unlike the others
_ANSWERS = 100  # of a device, at least, to judge it
_SECONDS = 16 * 3600.0  # of a row, which is of an hour: several sessions may run at a time
_MOST = 1e9  # answers of a row

Scores = Mapping[str, Mapping[str, SubsetScore]]
"""The audited scores of each bundle by live set."""
Names = tuple[str, str, str, str]
"""Of `_NAMES`; empty of what is not told apart."""
Sums = NDArray[np.float64]
"""Of `_SUMS`, float64 [7]; those from `right` to `high` are seconds times a score."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceWeek:
    """The sums of a device, with one bundle in one week."""

    names: Names
    sums: Sums


@dataclass(frozen=True, slots=True)
class Deployed:
    """A bundle on a fleet, or on a part of it.

    Attributes:
        model, week, device: the part; empty of all. A week is named by its Monday, `2026-11-23`.
        hours: how long any sensor was live.
        audited: the share of that time with a live set that was audited.
        accuracy: expected in that time; None if there is none. Its ends weight those of the sets in the same
            way, which is wide, as the sets were audited on the same examples; of several devices, they
            also allow for how these differ.
        unsure: the share of the answers without a label; None without an answer.
    """

    bundle: str
    model: str
    week: str
    device: str
    devices: int
    hours: float
    audited: float
    accuracy: Estimate | None
    answers: int
    unsure: float | None


@dataclass(frozen=True, slots=True)
class FaultCost:
    """A fault on all devices with a bundle.

    Attributes:
        modality: its sensor's; empty of a fault of the session, or of a sensor in no known live set.
        times: how often it began.
        answers: the share of all answers that lacked the sensor after it.
        lost: the expected share of all answers that are wrong for it: the audited score with the sensor less
            that without, of those live sets where both were audited; None if there is none.
    """

    bundle: str
    fault: str
    modality: str
    times: int
    answers: float
    lost: float | None


@dataclass(frozen=True, slots=True)
class UnlikeDevice:
    """A device unlike its peers, those of its model with the same bundle.

    Attributes:
        measure: `unsure` or `accuracy`, of which `value` is the device's and `peers` the mean of the others.
        p: of Student's test of one left out, adjusted for the number of devices and measures by Holm.
    """

    bundle: str
    model: str
    device: str
    measure: str
    value: float
    peers: float
    p: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """The parts of a fleet, and by bundle the hours of each live set that was never audited.

    `asleep` has by bundle and modality the hours in which sensors slept.
    """

    bundles: list[Deployed]
    models: list[Deployed]
    weeks: list[Deployed]
    devices: list[Deployed]  # the lowest expected accuracy first
    faults: list[FaultCost]  # the costliest first
    unlike: list[UnlikeDevice]  # the least likely first
    unaudited: dict[str, dict[str, float]]
    asleep: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """Return it for `json.dumps`."""
        return asdict(self)


def fleet(sources: Sequence[str], audited: Scores, engine: str | None = None) -> Fleet:
    """Return the numbers of a fleet from heartbeats; arguments and errors are as in `heartbeat_files.opened`.

    Also raises InputError for numbers that no device can have.
    """
    with heartbeat_files.opened(sources, engine) as table:
        device_weeks = _device_weeks(table, audited)
        sets = _rows(
            table.group_by(["bundle", "live"]).aggregate(seconds=_.seconds.sum(), answers=_.answers.sum())
        )
        faults = _faults(table, sets, audited)
        slept = _rows(_unnested(table, "asleep", ["bundle"]))
    asleep = dict[str, dict[str, float]]()
    for row in sorted(slept, key=lambda row: (-row["n"], row["fault"])):
        asleep.setdefault(row["bundle"], {})[row["fault"]] = row["n"] / 3600
    unaudited: dict[str, dict[str, float]] = {}
    for row in sorted(sets, key=lambda row: (-row["seconds"], row["live"])):
        if row["live"] and row["live"] not in audited.get(row["bundle"], {}):
            unaudited.setdefault(row["bundle"], {})[row["live"]] = row["seconds"] / 3600
    devices = _deployed(device_weeks, "model", "device")
    return Fleet(
        _deployed(device_weeks),
        _deployed(device_weeks, "model"),
        _deployed(device_weeks, "week"),
        sorted(devices, key=lambda one: one.accuracy.value if one.accuracy else 2),
        faults,
        _unlike(devices),
        unaudited,
        asleep,
    )


def _device_weeks(table: ibis.Table, audited: Scores) -> list[DeviceWeek]:
    rows = [
        {"bundle": bundle, "live": live, "accuracy": score.accuracy, "low": score.low, "high": score.high}
        for bundle, scores in audited.items()
        for live, score in scores.items()
    ]
    known = ibis.memtable(
        rows,
        schema={"bundle": "string", "live": "string"} | dict.fromkeys(("accuracy", "low", "high"), "float"),
    )
    possible = _.seconds.between(0, _SECONDS) & _.answers.between(0, _MOST) & _.unsure.between(0, _.answers)
    named = _.bundle.notnull() & _.model.notnull() & _.hour.notnull() & _.device.notnull() & _.live.notnull()
    odd = ~(named & possible.fill_null(False))
    for counts in (_.faults, _.without):
        odd |= (counts.values().mins() < 0).fill_null(False)
    found = (
        table.filter((_.live != "") | odd)  # the faults' shares are of all answers
        .mutate(week=(_.hour - _MONDAY) // _WEEK)
        .group_by([*_NAMES, "live"])  # first, so that few rows are joined
        .aggregate(seconds=_.seconds.sum(), answers=_.answers.sum(), unsure=_.unsure.sum(), odd=odd.any())
        .left_join(known, ["bundle", "live"])
        .group_by([*_NAMES])
        .aggregate(
            seconds=_.seconds.sum(),
            known=_.seconds.sum(where=_.accuracy.notnull()),
            right=(_.seconds * _.accuracy).sum(),
            low=(_.seconds * _.low).sum(),
            high=(_.seconds * _.high).sum(),
            answers=_.answers.sum(),
            unsure=_.unsure.sum(),
            odd=_.odd.any(),
        )
    )
    device_weeks = []
    for row in _rows(found.order_by([*_NAMES])):
        names = row["bundle"], row["model"], _monday(row["week"] or 0), row["device"]
        if row["odd"]:
            raise InputError(
                f"heartbeats of device {row['device']!r}, week {names[2]}: impossible or missing numbers; "
                "leave its file out"
            )
        device_weeks.append(DeviceWeek(names, np.array([row[n] or 0 for n in _SUMS], float)))
    return device_weeks


def _monday(week: int) -> str:
    return str(date(1970, 1, 5) + timedelta(weeks=week))


def _rows(table: ibis.Expr) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
    return found


def _deployed(device_weeks: Sequence[DeviceWeek], *by: str) -> list[Deployed]:
    """Return the parts of a fleet by bundle and further names."""
    parts: dict[Names, dict[str, Sums]] = {}
    for one in device_weeks:
        bundle, model, week, device = (
            name if of in ("bundle", *by) else "" for of, name in zip(_NAMES, one.names, strict=True)
        )
        devices = parts.setdefault((bundle, model, week, device), {})
        own = one.names[-1]
        devices[own] = devices[own] + one.sums if own in devices else one.sums
    return [_part(names, np.array([*devices.values()])) for names, devices in sorted(parts.items())]


def _part(names: Names, sums: Sums) -> Deployed:
    """Return a part of the sums [devices, `_SUMS`] of its devices."""
    seconds, known, right, low, high, answers, unsure = sums.sum(axis=0)
    accuracy = None
    if known:
        value, n = right / known, len(sums)
        spread = 0.0
        if n > 1:  # the standard error of a ratio of means
            residuals = sums[:, 2] - value * sums[:, 1]
            spread = student(LEVEL, n - 1) * math.sqrt(n / (n - 1) * float(residuals @ residuals)) / known
        low, high = (math.hypot(float(end / known - value), spread) for end in (low, high))
        accuracy = Estimate(float(value), max(0.0, float(value - low)), min(1.0, float(value + high)))
    return Deployed(
        *names,
        devices=len(sums),
        hours=float(seconds) / 3600,
        audited=float(known / seconds) if seconds else 0.0,
        accuracy=accuracy,
        answers=int(answers),
        unsure=float(unsure / answers) if answers else None,
    )


def _faults(table: ibis.Table, sets: Sequence[Mapping[str, Any]], audited: Scores) -> list[FaultCost]:
    """Return the costs of all faults; `sets` has the seconds and the answers of each bundle's live sets."""
    totals: defaultdict[str, int] = defaultdict(int)
    for row in sets:
        totals[row["bundle"]] += row["answers"]
    times = {(row["bundle"], row["fault"]): row["n"] for row in _rows(_unnested(table, "faults", ["bundle"]))}
    seen = {row["live"] for row in sets if row["live"]}
    modalities = {modality for live in seen.union(*audited.values()) for modality in live.split("+")}
    answers: defaultdict[tuple[str, str], int] = defaultdict(int)
    lost: dict[tuple[str, str], float] = {}  # of the answers whose live set was audited with and without it
    for row in _rows(_unnested(table, "without", ["bundle", "live"])):
        key, scores = (row["bundle"], row["fault"]), audited.get(row["bundle"], {})
        without = row["live"]
        sensors = {row["fault"].partition(" ")[0], *without.split("+")}
        answers[key] += row["n"]
        whole, rest = scores.get(subsets.name(sensors)), scores.get(without)
        if whole and rest:
            lost[key] = lost.get(key, 0.0) + row["n"] * (whole.accuracy - rest.accuracy)
    found = [
        FaultCost(
            *key,
            modality if (modality := key[1].partition(" ")[0]) in modalities else "",
            times.get(key, 0),
            answers[key] / (totals[key[0]] or 1),
            lost[key] / (totals[key[0]] or 1) if key in lost else None,
        )
        for key in sorted({*times, *answers})
    ]
    return sorted(found, key=lambda one: (-(one.lost or 0.0), -one.answers))


def _unnested(table: ibis.Table, name: str, by: list[str]) -> ibis.Table:
    """Return the sums of a column of maps by its keys, `fault`, and other columns."""
    keys = table.select(*by, name, fault=table[name].keys().unnest())
    return keys.group_by([*by, "fault"]).aggregate(n=_[name][_.fault].sum())


def _unlike(devices: Sequence[Deployed]) -> list[UnlikeDevice]:
    """Test each device against its peers: is it one more of them?

    Shares are compared as the arcsine of their root, whose spread depends little on the share. Among devices
    that never lost a sensor, one that did for a minute is unlike; a difference below `MARGIN` is not named.
    """
    found = []
    for measure in ("unsure", "accuracy"):
        peers: dict[tuple[str, str], list[tuple[Deployed, float]]] = {}
        for one in devices:
            share = one.unsure if measure == "unsure" else one.accuracy.value if one.accuracy else None
            if share is not None and one.answers >= _ANSWERS:
                peers.setdefault((one.bundle, one.model), []).append((one, share))
        for some in peers.values():
            shares = np.array([share for _, share in some])
            for place, p in enumerate(left_out(np.arcsin(np.sqrt(shares))) if len(some) >= _PEERS else ()):
                one, share = some[place]
                names = one.bundle, one.model, one.device, measure
                found.append(UnlikeDevice(*names, share, float(shares.sum() - share) / (len(some) - 1), p))
    adjusted = holm([one.p for one in found])
    tested = (replace(one, p=p) for one, p in zip(found, adjusted, strict=True) if p < ALPHA)
    return sorted((one for one in tested if abs(one.value - one.peers) >= MARGIN), key=lambda one: one.p)


def left_out(values: NDArray[np.floating]) -> list[float]:
    """Return for each of N > 2 values the p that the others have its mean: of the studentized residual."""
    n, residuals = len(values), values - values.mean()
    squares = float(residuals @ residuals)
    rest = np.maximum(squares - residuals**2 * n / (n - 1), 1e-12 * max(squares, 1e-12)) / (n - 2)
    return [*map(float, student_tail(np.abs(residuals) / np.sqrt(rest * (n - 1) / n), n - 2))]
