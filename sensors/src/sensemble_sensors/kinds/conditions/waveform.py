"""The conditions of sound.

The level of a stream is the power of its loudest 0.05 s so far, which decays by 3 dB in 5 s; an SNR is
relative to it. So a condition is causal, adds no delay, and does not depend on how the stream is cut.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.kinds.conditions.condition import (
    CLOCK,
    GAPS,
    SCENES,
    SWAPPED,
    Condition,
    Degradation,
    Draw,
    Gaps,
)
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

Wave = NDArray[np.float32]

_BLOCK = 0.05  # seconds
_HALF = 5.0  # seconds in which a level falls to half its power
_SILENT = 1e-6  # power of full scale, -60 dB: less has no level
_VOICES = 6
_BEHIND = 1.0, 12.0  # seconds by which the voices of babble are behind
_DIRECT = 0.5  # share of the power of reverberant sound that comes straight
_LOW = 300.0  # Hz, the lower edge of the telephone band
_FILTER = 0.025  # seconds that its filter lasts
_FLOOR = -70.0  # dB of full scale: a small microphone's own noise, and that of a quiet room


def _quiet(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    """Lower by `amount` dB what is above the noise floor, which stays."""
    gain, floor = np.float32(_amplitude(-amount)), np.float32(_amplitude(_FLOOR))

    def lower(sample: Sample) -> NDArray[np.floating]:
        wave = _wave(sample)
        return gain * wave + floor * draw.standard_normal(len(wave), dtype=np.float32)

    return _each(lower)


def _loud(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    gain = np.float32(_amplitude(amount))
    return _each(lambda sample: gain * _wave(sample))


def _clipping(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    level = _Level(spec)
    return _by_block(
        lambda wave, _: _amplitude(amount) / np.sqrt(level.before(wave) or 1) * wave, _block(spec)
    )


def _noise(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    level = _Level(spec)

    def add(wave: Wave, _: bool) -> NDArray[np.floating]:
        scale = _amplitude(-amount) * np.sqrt(level.before(wave))
        return wave + np.float32(scale) * draw.standard_normal(len(wave), dtype=np.float32)

    return _by_block(add, _block(spec))


def _babble(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """Add voices, `amount` dB below the level: passages of the stream's own past."""
    behind = np.round(spec.rate * draw.uniform(*_BEHIND, _VOICES)).astype(int)
    past = np.zeros(behind.max(), np.float32)
    level, babble_level = _Level(spec), _Level(spec)

    def add(wave: Wave, _: bool) -> NDArray[np.floating]:
        nonlocal past
        begins = len(past) - behind
        voices = np.stack([past[at : at + len(wave)] for at in begins]).sum(axis=0)
        past = np.concatenate([past[len(wave) :], wave])
        signal, noise = level.before(wave), babble_level.before(voices)
        scale = _amplitude(-amount) * np.sqrt(signal / noise) if noise else 0.0
        return wave + np.float32(scale) * np.asarray(voices, np.float32)

    return _by_block(add, _block(spec))


def _reverb(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """Add a tail of noise that falls by 60 dB in `amount` seconds (Polack's model of a room)."""
    time = np.arange(1, round(amount * spec.rate)) / spec.rate
    tail = draw.standard_normal(len(time)) * 10 ** (-3 * time / amount)
    tail *= np.sqrt((1 - _DIRECT) / np.sum(tail**2))
    return _filtered(np.concatenate([[np.sqrt(_DIRECT)], tail]))


def _phone(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    half = round(_FILTER * spec.rate / 2)
    time = np.arange(-half, half + 1) / spec.rate
    taps = [2 * hertz / spec.rate * np.sinc(2 * hertz * time) for hertz in (min(amount, spec.rate / 2), _LOW)]
    return _filtered((taps[0] - taps[1]) * np.hanning(len(time) + 2)[1:-1])


def _gaps(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    gaps = Gaps(amount, spec.rate, draw)
    return _each(lambda sample: np.where(gaps.lost(len(sample.data)), np.float32(0), _wave(sample)))


def _swapped(amount: float, spec: InputSpec, draw: Draw) -> Degradation:
    """Give an earlier window in place of `amount` per cent of all; see `condition.swapped`."""
    before: deque[Wave] = deque(maxlen=SCENES)
    scene = np.zeros(0, np.float32)
    shown: Wave | None = None  # in place of the scene

    def swap(wave: Wave, begins: bool) -> Wave:
        nonlocal scene, shown
        if begins:
            before.extend([scene] if len(scene) else [])
            shown = before[draw.integers(len(before))] if before and draw.random() < amount / 100 else None
            scene = wave[:0]
        at, scene = len(scene), np.concatenate([scene, wave])
        return wave if shown is None else shown[at : len(scene)]

    return _by_block(swap, spec.shape[1])


CONDITIONS = (
    Condition("quiet", "a quiet {}", "{:g} dB quieter, floor -70 dB", (6, 12, 20, 30, 40), _quiet),
    Condition("loud", "a loud {}", "{:g} dB louder, cut off at full scale", (6, 10, 15, 20, 30), _loud),
    Condition("clipping", "a clipping {}", "driven to {:g} dB of full scale", (-6, 0, 6, 12, 18), _clipping),
    Condition("noise", "a noisy {}", "white noise, SNR {:g} dB", (25, 20, 15, 10, 5), _noise),
    Condition("babble", "a {} among voices", "six voices, SNR {:g} dB", (20, 15, 10, 5, 0), _babble),
    Condition("reverb", "a {} in an echoing room", "RT60 {:g} s", (0.3, 0.5, 0.8, 1.2, 2), _reverb),
    Condition("phone", "a {} on the phone", "300 to {:g} Hz", (7000, 5000, 3400, 2400, 1600), _phone),
    Condition("gaps", "a {} with gaps", "{:g} % of the time lost in gaps", GAPS, _gaps),
    CLOCK,
    Condition("swapped", "a lying {}", "{:g} % of scenes swapped", SWAPPED, _swapped),
)


class _Level:
    """The power of the loudest block of a stream so far."""

    def __init__(self, spec: InputSpec) -> None:
        self._size = _block(spec)
        self._level = self._sum = 0.0
        self._count = 0  # samples of the block that is not complete

    def before(self, wave: Wave) -> float:
        """Return the level before a part of a block, and measure that part; 0 for silence."""
        level = self._level
        self._sum += float(np.dot(wave, wave))
        self._count += len(wave)
        if self._count == self._size:
            power = self._sum / self._size
            forgotten = self._level * 0.5 ** (_BLOCK / _HALF)
            self._level = max(power, forgotten) if np.isfinite(power) else forgotten
            self._sum, self._count = 0.0, 0
        return level if level > _SILENT else 0.0


def _block(spec: InputSpec) -> int:
    return round(_BLOCK * spec.rate)


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _wave(sample: Sample) -> Wave:
    return np.asarray(sample.data, np.float32)


def _each(act: Callable[[Sample], NDArray[np.floating]]) -> Degradation:
    return lambda sample: replace(sample, data=np.clip(act(sample), -1, 1).astype(np.float32))


def _by_block(act: Callable[[Wave, bool], NDArray[np.floating]], size: int) -> Degradation:
    """Return the degradation that calls `act` with parts of blocks, and whether a block begins there."""
    count = 0  # samples since a block began

    def parts(wave: Wave) -> Iterator[NDArray[np.floating]]:
        nonlocal count
        while len(wave):
            part, wave = np.split(wave, [size - count])
            yield act(part, count == 0)
            count = (count + len(part)) % size

    return _each(lambda sample: np.concatenate([_wave(sample)[:0], *parts(_wave(sample))]))


def _filtered(response: NDArray[np.float64]) -> Degradation:
    """Return the convolution with an impulse response; it begins again at each cut of the stream."""
    tail = np.zeros(len(response) - 1)
    spectra: dict[int, NDArray[np.complex128]] = {}  # of the response, by the length of a transform

    def convolve(sample: Sample) -> NDArray[np.floating]:
        nonlocal tail
        wave = _wave(sample)
        length = 1 << (len(wave) + len(tail) - 1).bit_length()  # a quick one to transform
        if length not in spectra:
            spectra.clear()  # only the last sample of a stream has another length
            spectra[length] = np.fft.rfft(response, length)
        full = np.fft.irfft(np.fft.rfft(wave, length) * spectra[length], length)
        if not sample.cut:
            full[: len(tail)] += tail
        tail = full[len(wave) : len(wave) + len(tail)]
        return full[: len(wave)]

    return _each(convolve)
