"""The people behind the clips, and the rooms in which they film.

A room is what one person's film, sound and captions share besides the digit: colours, a hum and habits of
speech. Without it, the class would be all that the modalities of a triple share, and contrastive pretraining
would be supervised learning in disguise. With a room for each person, pretraining would learn to recognize
people instead of digits: so a few rooms are shared by many voices and hands. No person, voice, room or phrase
is on two sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sensemble_train.digits.captions import OPENINGS, PLACES
from sensemble_train.digits.voices import ACCENTS, ENGLISH, VARIANTS
from sensemble_train.digits.words import Side

PEOPLE: dict[Side, int] = {"train": 120, "calibrate": 36, "eval": 54}
"""The number of people on each side; a variant of eSpeak speaks for two or three of them."""
_ACCENTED = 0.25
_COLOURS = 0.1  # how far a sheet's colours may be from those of its room

Colour = tuple[float, float, float]
"""RGB in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room and its habits.

    Attributes:
        hum: frequency of the room's hum, Hz.
        ink: usual colour of the stroke.
        paper: usual colour of the background.
        opening: how captions begin there.
        place: its name in the captions.
    """

    hum: float
    ink: Colour
    paper: Colour
    opening: str
    place: str


@dataclass(frozen=True, slots=True)
class Persona:
    """A person.

    Attributes:
        side: of the splits.
        room: where this person films.
        voice: eSpeak NG voice name, `language+variant`.
        pitch: eSpeak pitch, 0 to 100.
        pace: speaking rate, words a minute.
        melody: eSpeak's range of pitch, 0 to 100.
        tract: how short the vocal tract is: formants and pitch are multiplied by it, and durations divided.
        echo: seconds in which reverberation around this person falls by 60 dB.
        tilt: how fast the noise around them falls with frequency f, as f ** -tilt in power: 0 white, 2 brown.
        slant: horizontal shear of the handwriting.
        ink: colour of the stroke.
        paper: colour of the background.
    """

    side: Side
    room: Room
    voice: str
    pitch: int
    pace: int
    melody: int
    tract: float
    echo: float
    tilt: float
    slant: float
    ink: Colour
    paper: Colour


def personas(seed: int) -> dict[Side, tuple[Persona, ...]]:
    """Draw the people of a dataset by side; the same seed draws the same people."""
    rng = np.random.default_rng([seed, 1])
    rooms = {side: _rooms(side, rng) for side in PEOPLE}
    return {
        side: tuple(_person(side, i, rooms[side], rng) for i in range(count))
        for side, count in PEOPLE.items()
    }


def _rooms(side: Side, rng: np.random.Generator) -> tuple[Room, ...]:
    """Draw the rooms of a side, one for each opening and place; every second one has dark ink."""
    count = len(OPENINGS[side])
    hums, places = rng.permutation(count), rng.permutation(count)

    def room(number: int) -> Room:
        light, dark = _colour(rng, 0.6, 1.0), _colour(rng, 0.0, 0.35)
        ink, paper = (light, dark) if number % 2 else (dark, light)
        hum = 80 * 20 ** ((int(hums[number]) + rng.random()) / count)
        return Room(hum, ink, paper, OPENINGS[side][number], PLACES[side][places[number]])

    return tuple(map(room, range(count)))


def _person(side: Side, number: int, rooms: Sequence[Room], rng: np.random.Generator) -> Persona:
    languages = tuple(ACCENTS[side]) if rng.random() < _ACCENTED else ENGLISH
    room = rooms[int(rng.integers(len(rooms)))]
    return Persona(
        side=side,
        room=room,
        voice=f"{rng.choice(languages)}+{VARIANTS[side][number % len(VARIANTS[side])]}",
        pitch=int(rng.integers(30, 71)),
        pace=int(rng.integers(140, 211)),
        melody=int(rng.integers(30, 81)),
        tract=float(rng.uniform(0.9, 1.12)),
        echo=float(rng.uniform(0.02, 0.3)),
        tilt=float(rng.uniform(0, 2)),
        slant=float(rng.uniform(-0.3, 0.3)),
        ink=_near(room.ink, rng),
        paper=_near(room.paper, rng),
    )


def _colour(rng: np.random.Generator, low: float, high: float) -> Colour:
    red, green, blue = rng.uniform(low, high, 3)
    return float(red), float(green), float(blue)


def _near(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = np.clip(np.array(colour) + rng.uniform(-_COLOURS, _COLOURS, 3), 0, 1)
    return float(red), float(green), float(blue)
