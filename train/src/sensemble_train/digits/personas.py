"""The people behind the clips: the properties that one person's recordings share besides the digit.

Without them, the class would be all that the modalities of a triple share, and contrastive pretraining would
be supervised learning in disguise. A voice, a hand, a room and a way of speaking give it more to align, as in
clips of one channel.
"""

from dataclasses import dataclass

import numpy as np

from sensemble_train.digits.captions import OPENINGS, PLACES

# Without eSpeak's breathy variants, whose noise differs each time.
VOICES = (
    "en-us+Michael", "en-gb+Annie", "en-gb-scotland+m3", "en-us+f4", "en-gb-x-rp+Andrea", "en-us+edward",
    "en-029+grandpa", "en-us+Lee", "en-gb-x-gbclan+belinda", "en-gb+grandma", "en-us+adam", "en-gb+linda",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Persona:
    """A person, their room and their habits.

    Attributes:
        voice: eSpeak NG voice name, `locale+variant`.
        pitch: eSpeak pitch, 0 to 100.
        pace: speaking rate, words a minute.
        hum: frequency of the room's hum, Hz.
        echo: seconds in which the room's reverberation falls by 60 dB.
        slant: horizontal shear of the handwriting.
        ink: RGB of the stroke, in [0, 1].
        paper: RGB of the background, in [0, 1].
        opening: how this person's captions begin.
        place: where this person films, named in the captions.
    """

    voice: str
    pitch: int
    pace: int
    hum: float
    echo: float
    slant: float
    ink: tuple[float, float, float]
    paper: tuple[float, float, float]
    opening: str
    place: str


def personas(seed: int) -> tuple[Persona, ...]:
    """Draw the people of a dataset, one for each voice; the same seed draws the same people."""
    rng = np.random.default_rng([seed, 1])
    count = len(VOICES)
    hums, openings, places = (rng.permutation(count) for _ in range(3))

    def colour(low: float, high: float) -> tuple[float, float, float]:
        red, green, blue = rng.uniform(low, high, 3)
        return float(red), float(green), float(blue)

    return tuple(
        Persona(
            voice=voice,
            pitch=int(rng.integers(35, 65)),
            pace=int(rng.integers(150, 190)),
            hum=float(np.geomspace(80, 1500, count)[hums[i]]),
            echo=float(rng.uniform(0.02, 0.2)),
            slant=float(rng.uniform(-0.3, 0.3)),
            ink=colour(0.6, 1.0),
            paper=colour(0.0, 0.35),
            opening=OPENINGS[openings[i]],
            place=PLACES[places[i]],
        )
        for i, voice in enumerate(VOICES)
    )
