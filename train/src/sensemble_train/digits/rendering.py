"""Render the sound of a clip, in float64: the same bytes on every processor."""

import numpy as np
from numpy.typing import NDArray

from sensemble_train.digits.personas import Persona

RATE = 16000
SECONDS = 1.0
_FFT = 21600  # samples, a second and the longest echo; its small factors make a transform quick
_QUIETEST, _LOUDEST = -36.0, -3.0  # dB, the peak of a sound relative to full scale
FLOOR = -75.0, -42.0
"""The level of a room's noise, least and largest, in dB relative to full scale."""
_SNR = 5.0, 30.0  # dB, least and largest ratio of a voice to its room's noise


def place(sound: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Put a sound, [n], somewhere into a second of silence, [16000]; a longer one is cut."""
    count = int(RATE * SECONDS)
    sound = sound[:count]
    wave = np.zeros(count)
    at = int(rng.integers(0, count - len(sound) + 1))
    wave[at : at + len(sound)] = sound
    return wave


def render_audio(
    sound: NDArray[np.float64], persona: Persona, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Play a second of sound, not silent, in a person's room; float32 [16000] in [-1, 1]."""
    count = len(sound)
    active = np.abs(sound) > 0.05 * np.abs(sound).max()
    sound = sound / np.sqrt(np.mean(sound[active] ** 2))
    room = room_response(persona, rng)
    wave = np.fft.irfft(np.fft.rfft(sound, _FFT) * np.fft.rfft(room, _FFT), _FFT)[:count]
    noise = coloured_noise(persona.tilt, rng) + 0.5 * hum(persona, rng)
    wave = wave + 10 ** (-rng.uniform(*_SNR) / 20) * noise
    level = 10 ** (rng.uniform(_QUIETEST, _LOUDEST) / 20)
    samples: NDArray[np.float32] = (level * wave / np.abs(wave).max()).astype(np.float32)
    return samples


def render_room(persona: Persona, rng: np.random.Generator) -> NDArray[np.float32]:
    """Record a second in which nobody speaks: the noise of a person's room; float32 [16000] in [-1, 1]."""
    wave = coloured_noise(persona.tilt, rng) + rng.uniform(0, 0.5) * hum(persona, rng)
    samples: NDArray[np.float32] = (10 ** (rng.uniform(*FLOOR) / 20) * wave / wave.std()).astype(np.float32)
    return samples


def room_response(persona: Persona, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the impulse response of a person's room, float64 [n] at 16 kHz."""
    length = int(RATE * persona.echo)
    tail = rng.normal(0, 1, length) * 10 ** (-3 * np.linspace(0, 1, length))
    return np.concatenate([[1.0], 0.35 * tail / np.linalg.norm(tail)])


def coloured_noise(tilt: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a second of noise of RMS 1 with a power of f ** -tilt at frequency f; float64 [16000]."""
    spectrum = np.fft.rfft(rng.normal(0, 1, int(RATE * SECONDS)))
    frequencies = np.arange(len(spectrum)) / SECONDS
    noise = np.fft.irfft(spectrum * np.maximum(frequencies, 20.0) ** (-tilt / 2))
    scaled: NDArray[np.float64] = noise / np.sqrt(np.mean(noise**2))
    return scaled


def hum(persona: Persona, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a second of the hum of a person's room, of RMS 1; float64 [16000]."""
    clock = np.arange(int(RATE * SECONDS)) / RATE
    wave: NDArray[np.float64] = np.sin(2 * np.pi * persona.hum * clock + rng.uniform(0, 2 * np.pi))
    return wave * 2**0.5
