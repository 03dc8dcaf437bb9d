"""The people behind the clips: the properties that one person's recordings share besides the digit.

Without them, the class would be all that the modalities of a clip share, and contrastive pretraining would be
supervised learning in disguise.
"""

from dataclasses import dataclass

import numpy as np

from sensemble_train.digits.captions import OPENINGS, PLACES
from sensemble_train.digits.voices import ACCENTS, ENGLISH, PICO_VOICES, VARIANTS, Side

PEOPLE: dict[Side, int] = {"train": 120, "calibrate": 36, "eval": 54}  # one to three per variant of eSpeak
_ACCENTED = 0.25
_BY_PICO = 7  # every seventh person speaks by SVOX Pico
_DARK_INK = 0.5


@dataclass(frozen=True, slots=True)
class Persona:
    """A person, their room and their habits."""

    side: Side
    voice: str  # as an `Utterance` names it
    pitch: int  # 0 to 100
    pace: int  # words a minute
    melody: int  # range of the pitch, 0 to 100
    tract: float  # shortness of the vocal tract: multiplies formants and pitch, divides durations
    hum: float  # of the room, Hz
    echo: float  # seconds in which the room's reverberation falls by 60 dB
    tilt: float  # the power of the room's noise falls as f ** -tilt: 0 white, 2 brown
    slant: float  # horizontal shear of the handwriting
    ink: tuple[float, float, float]  # RGB in [0, 1]
    paper: tuple[float, float, float]  # RGB in [0, 1]
    opening: str  # of this person's captions
    place: str  # where this person films, named in the captions


def personas(seed: int) -> dict[Side, tuple[Persona, ...]]:
    """Draw the people of a dataset by side; the same seed draws the same people."""
    rng = np.random.default_rng([seed, 1])
    return {side: tuple(_draw(side, i, rng) for i in range(count)) for side, count in PEOPLE.items()}


def _draw(side: Side, number: int, rng: np.random.Generator) -> Persona:
    languages = tuple(ACCENTS[side]) if rng.random() < _ACCENTED else ENGLISH
    variant = VARIANTS[side][number % len(VARIANTS[side])]
    voice = f"{rng.choice(languages)}+{variant}"
    if number % _BY_PICO == 0:
        voice = tuple(PICO_VOICES[side])[number // _BY_PICO % len(PICO_VOICES[side])]

    def colour(low: float, high: float) -> tuple[float, float, float]:
        red, green, blue = rng.uniform(low, high, 3)
        return float(red), float(green), float(blue)

    light, dark = colour(0.6, 1.0), colour(0.0, 0.35)
    ink, paper = (dark, light) if rng.random() < _DARK_INK else (light, dark)
    return Persona(
        side=side,
        voice=voice,
        pitch=int(rng.integers(30, 71)),
        pace=int(rng.integers(140, 211)),
        melody=int(rng.integers(30, 81)),
        tract=float(rng.uniform(0.9, 1.12)),
        hum=float(80 * 20 ** rng.random()),
        echo=float(rng.uniform(0.02, 0.3)),
        tilt=float(rng.uniform(0, 2)),
        slant=float(rng.uniform(-0.3, 0.3)),
        ink=ink,
        paper=paper,
        opening=str(rng.choice(OPENINGS[side])),
        place=str(rng.choice(PLACES[side])),
    )
