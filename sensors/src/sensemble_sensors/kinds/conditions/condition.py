"""The interface of a condition, and the condition that all kinds have: `swapped`, a sensor that lies."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sensemble_sensors.sensor import Data, Sample
from sensemble_sensors.spec import InputSpec

SEVERITIES = (1, 2, 3, 4, 5)  # from slight to severe
SWAPPED = (10.0, 25.0, 50.0, 75.0, 100.0)  # the amounts of `swapped`, in per cent of all scenes
SCENES = 16  # earlier scenes, of which `swapped` gives one

Degradation = Callable[[Sample], Sample]  # called with each sample of a stream in order


@dataclass(frozen=True, slots=True)
class Condition:
    """A stated degradation of the samples of one kind."""

    name: str  # one word
    phrase: str  # the sensor under it, in words; `{}` stands for the sensor
    effect: str  # in words; `{:g}` stands for the amount
    amounts: tuple[float, float, float, float, float]  # for each of `SEVERITIES`, in the unit of `effect`
    degradation: Callable[[float, InputSpec, np.random.Generator], Degradation]
    """Makes the degradation of a stream from an amount, the form of the samples, and a random generator."""

    def described(self, severity: int) -> str:
        """Return the effect with its amount: `20 dB quieter`."""
        return self.effect.format(self.amounts[severity - 1])

    def begin(self, severity: int, spec: InputSpec, seed: int = 0) -> Degradation:
        """Return the degradation of a new stream; the same seed gives the same stream again."""
        draw = np.random.default_rng([seed, severity, *self.name.encode()])
        return self.degradation(self.amounts[severity - 1], spec, draw)


@dataclass(frozen=True, slots=True)
class Applied:
    """A condition of one modality's sensors, at a severity of `SEVERITIES`; ValueError for any other."""

    modality: str
    condition: Condition
    severity: int

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"{self.condition.name}:{self.severity}: a severity is from 1 to {SEVERITIES[-1]}"
            )

    def __str__(self) -> str:
        return f"{self.condition.name}:{self.severity} ({self.condition.described(self.severity)})"

    def to_json(self) -> dict[str, Any]:
        """Return `{"modality", "condition", "severity", "effect"}`."""
        return {
            "modality": self.modality,
            "condition": self.condition.name,
            "severity": self.severity,
            "effect": self.condition.described(self.severity),
        }


def swapped(amount: float, spec: InputSpec, draw: np.random.Generator) -> Degradation:
    """Give an earlier scene, from a cut or a window long, in place of `amount` per cent of all."""
    before: deque[list[Data]] = deque(maxlen=SCENES)
    scene: list[Data] = []
    shown: list[Data] = scene  # in place of the scene
    began = 0.0

    def swap(sample: Sample) -> Sample:
        nonlocal scene, shown, began
        if not scene or sample.cut or sample.time - began >= spec.window:
            lies = before and draw.random() < amount / 100
            began, scene = sample.time, []
            shown = before[draw.integers(len(before))] if lies else scene
            before.append(scene)
        scene.append(sample.data)
        return replace(sample, data=shown[min(len(scene), len(shown)) - 1])

    return swap
