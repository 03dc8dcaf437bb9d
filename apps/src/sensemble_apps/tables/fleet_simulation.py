"""Heartbeats of devices whose faults are stated, so that what a fleet's page says can be checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from sensemble_runtime import subsets

from sensemble_apps.tables.heartbeats import CONFIDENCES, LATENCIES, schema

if TYPE_CHECKING:
    import pyarrow as pa

_BEGAN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
_SECONDS = 900  # of a slot, in which a sensor is there or away; an answer a second
_SLOTS = 4  # of an hour
_ALIKE = 20.0  # the larger, the more alike devices are
_LATENCY = 5  # the place of every answer's latency, of `LATENCIES`
_UNSURE, _SURE = 4, 9  # the places of their confidences


@dataclass(frozen=True)
class SimulatedFleet:
    """Devices of two models with one bundle, alike but for chance.

    Attributes:
        accuracy: the true share of right answers by live set; of every set of its sensors.
        faults: by sensor, the kind of its fault and the mean share of the time that it is away.
    """

    bundle: str
    accuracy: Mapping[str, float]
    faults: Mapping[str, tuple[str, float]]
    devices: int
    hours: int

    @property
    def truth(self) -> float:
        """The true share of right answers, while any sensor is live."""
        shares = [
            np.prod([1 - away if m in live.split("+") else away for m, away in self._away.items()])
            for live in self.accuracy
        ]
        return float(np.average([*self.accuracy.values()], weights=shares))

    @property
    def _away(self) -> dict[str, float]:
        sensors = subsets.parse(max(self.accuracy, key=lambda live: live.count("+")))
        return {m: self.faults[m][1] if m in self.faults else 0.0 for m in sensors}

    def heartbeats(self, seed: int) -> Iterator["pa.Table"]:
        """Yield the rows of each device, which has its share of faults, near the mean; columns: `schema`."""
        draw, mean = np.random.default_rng(seed), np.array([*self._away.values()])
        bits = 1 << np.arange(len(mean))
        for place in range(self.devices):
            share = draw.beta(np.maximum(_ALIKE * mean, 1e-9), np.maximum(_ALIKE * (1 - mean), 1e-9))
            away = (draw.random((self.hours, _SLOTS, len(mean))) < share) @ bits  # of a slot, as bits
            slots = (away[..., None] == np.arange(1 << len(mean))).sum(axis=1)  # [hours, sets]
            yield self._rows((f"device {place}", f"model {'AB'[place % 2]}", self.bundle), slots, draw)

    def _rows(self, names: Sequence[str], slots: np.ndarray, draw: np.random.Generator) -> "pa.Table":
        import pyarrow as pa

        hours, away = np.nonzero(slots)
        times = slots[hours, away]
        lost = [[m for i, m in enumerate(self._away) if bits >> i & 1] for bits in range(slots.shape[1])]
        sets = [subsets.name(self._away.keys() - gone) for gone in lost]
        kinds = pa.array([[f"{m} {self.faults[m][0]}" for m in some if m in self.faults] for some in lost])
        live = np.array([bool(name) for name in sets])[away]
        answers = times * _SECONDS * live
        wrong = np.array([1 - self.accuracy[name] if name else 0.0 for name in sets])
        unsure = draw.binomial(answers, wrong[away] / 2)
        latencies = np.zeros((len(times), len(LATENCIES) + 1), np.int64)
        latencies[:, _LATENCY] = answers
        confidences = np.zeros((len(times), CONFIDENCES), np.int64)
        confidences[:, _UNSURE], confidences[:, _SURE] = unsure, answers - unsure
        began = int(_BEGAN.timestamp())
        columns = [
            pa.array(began + 3600 * hours).cast(pa.timestamp("s", "UTC")),
            *(pa.repeat(name, len(times)) for name in names),
            pa.array(sets).take(pa.array(away)),
            times * float(_SECONDS),
            answers,
            unsure,
            _maps(kinds, away, times),
            _maps(kinds, np.where(live, away, 0), answers),
            *(_lists(counts) for counts in (latencies, confidences)),
            np.zeros_like(answers),  # of classes that began: these devices have windows alone
            [[]] * len(times),  # no sensor sleeps
        ]
        return pa.table(columns, schema=schema())


def _maps(keys: Any, places: np.ndarray, counts: np.ndarray) -> "pa.MapArray":  # noqa: ANN401 - a list array
    """Return for each row a map of the keys of its place, each to the count of the row."""
    import pyarrow as pa

    some = keys.take(pa.array(places))
    lengths = np.diff(some.offsets)
    return pa.MapArray.from_arrays(some.offsets, some.flatten(), np.repeat(counts, lengths))


def _lists(counts: np.ndarray) -> "pa.ListArray":
    import pyarrow as pa

    rows, width = counts.shape
    return pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * width, counts.ravel())
