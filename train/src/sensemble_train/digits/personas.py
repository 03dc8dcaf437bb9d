"""The people behind the clips: what one person's recordings share besides the digit.

Without a persona the only thing that the three modalities of a triple have in common would be the class, and
contrastive pretraining would be supervised learning in disguise. A voice, a hand, a room and a way of speaking
give it more to align, as the clips of one channel have.
"""

from dataclasses import dataclass

import numpy as np

from sensemble_train.digits.captions import OPENINGS, PLACES

COUNT = 40

_LOCALES = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan")
_VARIANTS = (
    "Alex", "Andrea", "Annie", "Denis", "Diogo", "Gene", "Jacky", "Lee", "Mario", "Michael",
    "adam", "anika", "aunty", "belinda", "benjamin", "caleb", "david", "edward", "f2", "f4",
    "grandma", "grandpa", "ian", "john", "linda", "m1", "m3", "m7", "pablo", "paul",
    "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis", "victor", "zac", "max",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Persona:
    """One person, their room and their habits.

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
    """Draw the `COUNT` personas of a dataset; the same seed draws the same people."""
    rng = np.random.default_rng([seed, 1])

    def colour(low: float, high: float) -> tuple[float, float, float]:
        red, green, blue = rng.uniform(low, high, 3)
        return float(red), float(green), float(blue)

    return tuple(
        Persona(
            voice=f"{_LOCALES[i % len(_LOCALES)]}+{_VARIANTS[i % len(_VARIANTS)]}",
            pitch=int(rng.integers(25, 75)),
            pace=int(rng.integers(140, 210)),
            hum=float(np.geomspace(60, 2000, COUNT)[i] * rng.uniform(0.95, 1.05)),
            echo=float(rng.uniform(0.02, 0.25)),
            slant=float(rng.uniform(-0.35, 0.35)),
            ink=colour(0.55, 1.0),
            paper=colour(0.0, 0.4),
            opening=OPENINGS[i % len(OPENINGS)],
            place=PLACES[(i // 2) % len(PLACES)],
        )
        for i in range(COUNT)
    )
