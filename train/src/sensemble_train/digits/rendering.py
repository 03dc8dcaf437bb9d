"""Render a clip, in float64 and without OpenCV: the same bytes on every processor."""

import numpy as np
from numpy.typing import NDArray

from sensemble_train.digits.personas import Persona

RATE = 16000
SECONDS = 1.0
FPS = 8
SIZE = 32
_MARGIN = 2  # pixels around a glyph
_FFT = 21600  # samples, a second and the longest echo; its small factors make a transform quick
_QUIETEST, _LOUDEST = -36.0, -3.0  # dB, the peak of a sound relative to full scale
_SNR = 5.0, 30.0  # dB, least and largest ratio of a voice to its room's noise
_GRAIN = 0.06  # median standard deviation of the pixels' noise, relative to full scale


def render_video(
    glyph: NDArray[np.float64],
    persona: Persona,
    rng: np.random.Generator,
    exposure: float | None = None,
) -> NDArray[np.uint8]:
    """Move an 8 x 8 glyph (0 to 16, as scikit-learn's digits) across the frame; uint8 [8, 32, 32, 3], RGB.

    `exposure` is a factor of brightness; None draws one in which the glyph can be seen.
    """
    count = int(FPS * SECONDS)
    scale = rng.uniform(2.0, 2.5)
    turn = rng.uniform(-0.1, 0.1)
    start, end = rng.uniform(-2.0, 2.0, (2, 2))
    linear = scale * np.array([[np.cos(turn), np.sin(turn) - persona.slant], [-np.sin(turn), np.cos(turn)]])
    centres = SIZE / 2 + start + (end - start) * np.linspace(0, 1, count)[:, None]
    y, x = np.mgrid[:SIZE, :SIZE]
    (a, b), (c, d) = np.linalg.inv(linear)
    dx, dy = x - centres[:, 0, None, None], y - centres[:, 1, None, None]
    middle = (len(glyph) - 1) / 2
    stroke = _interpolate(glyph / 16.0, a * dx + b * dy + middle, c * dx + d * dy + middle)
    ink, paper = np.array(persona.ink), np.array(persona.paper)
    contrast = rng.uniform(0.7, 1.0)
    frames = paper + contrast * stroke[..., None] * (ink - paper)
    shade = rng.uniform(-0.25, 0.25, 2)  # light from one side
    light = 1 + shade[0] * (x / SIZE - 0.5) + shade[1] * (y / SIZE - 0.5)
    drawn = rng.uniform(0.6, 1.2)
    frames = frames * light[..., None] * (drawn if exposure is None else exposure)
    frames += rng.normal(0, _GRAIN * rng.uniform(0.3, 1.3), frames.shape)
    pixels: NDArray[np.uint8] = np.clip(255 * frames, 0, 255).astype(np.uint8)
    return pixels


def _interpolate(
    image: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return an image, 0 outside, at the points (x, y), bilinearly."""
    image = np.pad(image, _MARGIN)
    most = len(image) - 1.001
    x, y = np.clip(x + _MARGIN, 0, most), np.clip(y + _MARGIN, 0, most)
    left, top = x.astype(int), y.astype(int)
    right, low = x - left, y - top
    above = image[top, left] * (1 - right) + image[top, left + 1] * right
    below = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    found: NDArray[np.float64] = above * (1 - low) + below * low
    return found


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
