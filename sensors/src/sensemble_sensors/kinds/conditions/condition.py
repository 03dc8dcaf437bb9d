"""The interface of a condition, and those of several kinds: `swapped`, a sensor that lies, gaps, a clock."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.sensor import Data, Sample
from sensemble_sensors.spec import InputSpec

SEVERITIES = (1, 2, 3, 4, 5)  # from slight to severe
SWAPPED = (10.0, 25.0, 50.0, 75.0, 100.0)  # the amounts of `swapped`, in per cent of all scenes
GAPS = (5.0, 10.0, 20.0, 35.0, 50.0)  # the amounts of `gaps`, in per cent of the time
GAP = 0.3  # seconds of a gap on average, such as a radio's; many last several times as long
SCENES = 16  # earlier scenes; `swapped` gives one of them

Draw: TypeAlias = "np.random.Generator"  # not loaded until it is used: it takes 2 MB
Degradation = Callable[[Sample], Sample]  # called with each sample of a stream in order


@dataclass(frozen=True, slots=True)
class Condition:
    """A stated degradation of the samples of one kind."""

    name: str  # one word
    phrase: str  # the sensor under it, in words; `{}` stands for the sensor
    effect: str  # in words; `{:g}` stands for the amount
    amounts: tuple[float, float, float, float, float]  # for each of `SEVERITIES`, in the unit of `effect`
    degradation: Callable[[float, InputSpec, Draw], Degradation]
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


class Gaps:
    """Tells which samples of a stream are lost, in runs: a Markov chain of two states."""

    def __init__(self, amount: float, rate: float, draw: Draw) -> None:
        share, gap = amount / 100, max(1.0, GAP * rate)
        self._means = max(1.0, gap * (1 - share) / share), gap  # samples of a run: those that come, a gap
        self._draw, self._lost, self._left = draw, False, 0
        self._run()

    def _run(self) -> None:
        self._left = int(self._draw.geometric(1 / self._means[self._lost]))

    def lost(self, count: int, *, cut: bool = False) -> NDArray[np.bool_]:
        """Return bool [count], of the next samples; after a cut, the first one comes."""
        lost = np.zeros(count, np.bool_)
        at = 0
        while at < count:
            if not self._left:
                self._lost = not self._lost
                self._run()
            span = min(self._left, count - at)
            lost[at : at + span] = self._lost
            self._left -= span
            at += span
        lost[:1] &= not cut
        return lost


def _late(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    return lambda sample: replace(sample, time=sample.time - amount)


CLOCK = Condition(
    "clock", "a {} whose clock is behind", "its clock {:g} s behind", (0.1, 0.25, 0.5, 1.0, 2.0), _late
)
"""Clocks of devices that drifted apart: samples bear an earlier time than that of their capture."""


def behind(applied: Iterable[Applied]) -> float:
    """Return by how many seconds conditions of one sensor put its clock back."""
    return sum(one.condition.amounts[one.severity - 1] for one in applied if one.condition == CLOCK)


def swapped(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
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
