"""Heartbeats of devices whose faults are stated, so that what a fleet's page says can be checked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sensemble_runtime import subsets

from sensemble_apps.tables.heartbeats import Heartbeat

_BEGAN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
_SECONDS = 900.0  # of a slot, in which a sensor is there or away; an answer a second
_SLOTS = 4  # of an hour
_ALIKE = 20.0  # the larger, the more alike devices are


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

    def heartbeats(self, seed: int) -> Iterator[Heartbeat]:
        """Yield the rows of all devices, each of which has its share of faults, near the mean."""
        draw, mean = np.random.default_rng(seed), np.array([*self._away.values()])
        for place in range(self.devices):
            share = draw.beta(np.maximum(_ALIKE * mean, 1e-9), np.maximum(_ALIKE * (1 - mean), 1e-9))
            away = draw.random((self.hours, _SLOTS, len(mean))) < share
            names = f"device {place}", f"model {'AB'[place % 2]}", self.bundle
            for hour, slots in enumerate(away):
                for slot in slots:
                    yield self._row(_BEGAN + timedelta(hours=hour), names, slot, draw)

    def _row(
        self, hour: datetime, names: tuple[str, str, str], away: np.ndarray, draw: np.random.Generator
    ) -> Heartbeat:
        lost = [m for m, gone in zip(self._away, away, strict=True) if gone]
        live = subsets.name(m for m in self._away if m not in lost)
        answers = int(_SECONDS) if live else 0
        kinds = [f"{m} {self.faults[m][0]}" for m in lost]
        return Heartbeat(
            hour,
            *names,
            live,
            _SECONDS,
            answers,
            int(draw.binomial(answers, (1 - self.accuracy[live]) / 2)) if live else 0,
            dict.fromkeys(kinds, 1),
            dict.fromkeys(kinds, answers) if live else {},
        )
