"""The conditions of series; amounts are relative to each channel's own deviation over the stream so far."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.kinds.conditions.condition import (
    CLOCK,
    GAPS,
    SWAPPED,
    Condition,
    Degradation,
    Draw,
    Gaps,
    swapped,
)
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec, vectors

Rows = NDArray[np.float32]

_PERIOD = 20.0  # seconds of a drift that comes and goes


def _noise(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    spread = _Spread(spec)

    def add(rows: Rows) -> NDArray[np.floating]:
        _, deviation = spread.of(rows)
        noise: NDArray[np.float64] = draw.standard_normal(rows.shape)
        return rows + amount / 100 * deviation * noise

    return _each(add)


def _drift(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """A bias that comes and goes."""
    spread, count = _Spread(spec), 0
    phase = draw.uniform(0, 2 * np.pi, spec.shape[2])

    def add(rows: Rows) -> NDArray[np.floating]:
        nonlocal count
        _, deviation = spread.of(rows)
        clock = (count + np.arange(len(rows)))[:, None] / spec.rate
        count += len(rows)
        return rows + amount * deviation * np.sin(2 * np.pi * clock / _PERIOD + phase)

    return _each(add)


def _saturated(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    spread = _Spread(spec)

    def cut(rows: Rows) -> NDArray[np.floating]:
        mean, deviation = spread.of(rows)
        return np.clip(rows, mean - amount * deviation, mean + amount * deviation)

    return _each(cut)


def _dead(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """Hold `amount` per cent of the channels, one at least, at their first value after a cut."""
    channels = spec.shape[2]
    chosen = draw.permutation(channels)[: max(1, round(amount / 100 * channels))]
    held = np.zeros(0, np.float32)

    def hold(sample: Sample) -> Sample:
        nonlocal held
        rows = np.array(sample.data, np.float32)
        if sample.cut or not len(held):
            held = rows[:1, chosen].copy()
        rows[:, chosen] = held
        return replace(sample, data=rows)

    return hold


def _rotated(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """Turn the vectors among the channels by `amount` degrees about one axis: another mount."""
    axis = draw.standard_normal(3)
    x, y, z = axis / np.linalg.norm(axis)
    cross, angle = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]), np.radians(amount)
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues' formula

    def rotate(rows: Rows) -> NDArray[np.floating]:
        turned = rows.astype(np.float64)
        for places in vectors(spec.channels):
            turned[:, places] = rows[:, places] @ turn.T
        return turned

    return _each(rotate)


def _gaps(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """Repeat the last row that came in place of lost ones."""
    gaps, last = Gaps(amount, spec.rate, draw), np.zeros((1, spec.shape[2]), np.float32)

    def hold(sample: Sample) -> Sample:
        nonlocal last
        whole = np.concatenate([last, np.asarray(sample.data, np.float32)])
        came = np.where(gaps.lost(len(whole) - 1, cut=sample.cut), 0, np.arange(1, len(whole)))
        rows: Rows = whole[np.maximum.accumulate(came)]
        last = rows[-1:] if len(rows) else last
        return replace(sample, data=rows)

    return hold


CONDITIONS = (
    Condition("noise", "a noisy {}", "noise of {:g} % of the deviation", (10, 25, 50, 100, 200), _noise),
    Condition("drift", "a drifting {}", "a bias of {:g} deviations", (0.25, 0.5, 1, 2, 4), _drift),
    Condition("dead", "a {} with dead channels", "{:g} % of the channels dead", (10, 20, 35, 50, 70), _dead),
    Condition("rotated", "a rotated {}", "turned by {:g} degrees", (10, 20, 45, 90, 180), _rotated),
    Condition(
        "saturated", "a {} that saturates", "cut off at {:g} deviations", (2, 1.5, 1, 0.7, 0.4), _saturated
    ),
    Condition("gaps", "a {} with gaps", "{:g} % of the time lost in gaps", GAPS, _gaps),
    CLOCK,
    Condition("swapped", "a lying {}", "{:g} % of scenes swapped", SWAPPED, swapped),
)


class _Spread:
    """The mean and the standard deviation of each channel over the stream so far."""

    def __init__(self, spec: InputSpec) -> None:
        self._count = 0
        self._sums = np.zeros((2, spec.shape[2]))
        self._zero: NDArray[np.float64] | None = None  # the first row: it is subtracted, for precision

    def of(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both for each row, [n, C], that row included."""
        if self._zero is None:
            self._zero = rows[0].astype(np.float64)
        apart = rows - self._zero
        sums = self._sums[:, None] + np.cumsum(np.stack([apart, apart**2]), axis=1)
        counts = (self._count + 1 + np.arange(len(rows)))[:, None]
        self._count, self._sums = int(counts[-1, 0]), sums[:, -1]
        mean, square = sums / counts
        return mean + self._zero, np.sqrt(np.maximum(square - mean**2, 0))


def _each(act: Callable[[Rows], NDArray[np.floating]]) -> Degradation:
    def degrade(sample: Sample) -> Sample:
        rows = np.asarray(sample.data, np.float32)
        return replace(sample, data=act(rows).astype(np.float32)) if len(rows) else sample

    return degrade
