"""Render one clip: the digit's picture moving over a person's paper, and its name spoken in their room."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sensemble_train.digits.personas import Persona

RATE = 16000
SECONDS = 1.0
FPS = 8
SIZE = 32


def render_video(
    picture: NDArray[np.float64], persona: Persona, rng: np.random.Generator, noise: float
) -> NDArray[np.uint8]:
    """Move an 8 x 8 picture (0 to 16, scikit-learn's digits) across the frame; uint8 [8, 32, 32, 3], RGB."""
    glyph = cv2.copyMakeBorder(picture.astype(np.float32) / 16.0, 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    count = int(FPS * SECONDS)
    scale = rng.uniform(2.0, 2.5)
    turn = rng.uniform(-0.1, 0.1)
    start, end = rng.uniform(-2.0, 2.0, (2, 2))
    linear = scale * np.array([[np.cos(turn), np.sin(turn) - persona.slant], [-np.sin(turn), np.cos(turn)]])
    ink, paper = np.array(persona.ink), np.array(persona.paper)
    contrast = rng.uniform(0.7, 1.0)
    frames = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for i in range(count):
        centre = SIZE / 2 + start + (end - start) * i / (count - 1)
        offset = centre - linear @ np.array([5.5, 5.5])
        stroke = cv2.warpAffine(
            glyph, np.column_stack([linear, offset]), (SIZE, SIZE), flags=cv2.INTER_LINEAR
        )
        frame = paper + contrast * stroke[..., None] * (ink - paper) + rng.normal(0, noise, (SIZE, SIZE, 3))
        frames[i] = np.clip(255 * frame, 0, 255)
    return frames


def render_audio(
    speech: NDArray[np.float32], persona: Persona, rng: np.random.Generator, noise: float
) -> NDArray[np.float32]:
    """Place 16 kHz speech in a second of the persona's room; float32 [16000] in [-1, 1]."""
    count = int(RATE * SECONDS)
    speech = speech[:count] * rng.uniform(0.25, 0.7)
    wave = np.zeros(count)
    at = int(rng.integers(0, count - len(speech) + 1))
    wave[at : at + len(speech)] = speech
    tail = rng.normal(0, 1, int(RATE * persona.echo)) * 10 ** (
        -3 * np.linspace(0, 1, int(RATE * persona.echo))
    )
    room = np.concatenate([[1.0], 0.35 * tail / np.linalg.norm(tail)])
    size = count + len(room)
    wave = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(room, size), size)[:count]
    clock = np.arange(count) / RATE
    wave += 0.004 * np.sin(2 * np.pi * persona.hum * clock + rng.uniform(0, 2 * np.pi))
    wave += rng.normal(0, noise * np.exp(rng.uniform(-0.7, 0.7)), count)
    return np.clip(wave, -1, 1).astype(np.float32)
