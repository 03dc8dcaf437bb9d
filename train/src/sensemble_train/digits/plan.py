"""The examples of `digits` before they are rendered: each one's person, picture, sound and words."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from sensemble_train.digits.backgrounds import SOUNDS
from sensemble_train.digits.personas import Persona, personas
from sensemble_train.digits.speech import Utterance
from sensemble_train.digits.voices import NEAR_WORDS, OTHER_WORDS, SIDES, Side, spelled

SplitCounts = tuple[tuple[str, int], ...]  # a number for each split

# Scikit-learn keeps the order of the original, in which 14 people write one after the other: the pictures at
# which each begins, with the digits 0 to 9, three times over but for a few that are missing.
_BEGIN = (0, 130, 256, 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545, 1667)
# Seven of them write for training, three for calibration, four for evaluation.
_WRITTEN: dict[Side, tuple[int, int]] = {"train": (0, 906), "calibrate": (906, 1287), "eval": (1287, 1797)}
ROOM = "room"
"""The sort of background in which nothing is heard but the room."""
# How often a background is silence, a quiet room, a sound of `SOUNDS`, other words or a babble of them.
_SOUND_SHARES = {"silence": 0.04, ROOM: 0.16, "words": 0.3, "babble": 0.14} | dict.fromkeys(SOUNDS, 0.09)
NEAR = "near"
"""The sort of background that is like a digit in all modalities, for an audit alone."""


@dataclass(frozen=True, slots=True)
class DigitsConfig:
    """The size of `digits`: of each split, its pictures, how often each is rendered, its backgrounds.

    A picture is filmed, spoken and captioned by one person. There are 1,797; none is in two splits, and no
    writer is on two sides. `seed` decides the people, the splits and every rendering.
    """

    seed: int = 0
    pictures: SplitCounts = (("pretrain", 509), ("train", 397), ("calibrate", 381), ("eval", 510))
    renderings: SplitCounts = (("pretrain", 4), ("calibrate", 2), ("train", 2), ("eval", 2))
    backgrounds: SplitCounts = (("pretrain", 300), ("calibrate", 100), ("train", 100), ("eval", 200))
    near: SplitCounts = (("calibrate", 100), ("eval", 200))  # backgrounds, of which no model learns
    streams: SplitCounts = (("train", 240), ("calibrate", 240), ("eval", 240))  # seconds
    imu: bool = False  # also the motion of a wrist that writes the digit in the air


@dataclass(frozen=True, slots=True)
class Plan:
    """An example before it is rendered."""

    index: int  # in the dataset
    split: str
    groups: tuple[str, ...]  # its person, and the writer of its picture; each is on one side
    persona: Persona
    digit: int | None  # None for a background
    picture: NDArray[np.float64] | None  # float64 [8, 8], 0 to 16; None for a background
    sound: str  # `digit`, or the sort of background
    says: tuple[Utterance, ...]  # one utterance, several at once for a babble, or none


def plan(config: DigitsConfig) -> list[Plan]:
    """Plan every example: the renderings of a split's pictures, then its backgrounds."""
    from sklearn.datasets import load_digits  # takes seconds to import; rendering does not need it

    rng = np.random.default_rng([config.seed, 2])
    digits = load_digits()
    pools = {side: iter(rng.permutation(range(*ends)).tolist()) for side, ends in _WRITTEN.items()}
    people = personas(config.seed)
    renderings, backgrounds = dict(config.renderings), dict(config.backgrounds)
    plans: list[Plan] = []
    for split, count in config.pictures:
        side = SIDES[split]
        for picture in islice(pools[side], count):
            number = int(rng.integers(len(people[side])))
            person, digit = people[side][number], int(digits.target[picture])
            image = digits.images[picture]
            groups = f"{side} {number}", f"writer {bisect(_BEGIN, picture)}"
            for _ in range(renderings[split]):
                says = utterance(spelled(digit, person.voice, side), person, rng)
                plans.append(Plan(len(plans), split, groups, person, digit, image, "digit", (says,)))
        for _ in range(backgrounds[split]):
            number = int(rng.integers(len(people[side])))
            sound = str(rng.choice(tuple(_SOUND_SHARES), p=tuple(_SOUND_SHARES.values())))
            words = _other_words(sound, number, people[side], rng)
            group = f"{side} {number}"
            plans.append(Plan(len(plans), split, (group,), people[side][number], None, None, sound, words))
    for split, count in config.near:  # last: they leave the others as they are
        side = SIDES[split]
        for number in rng.integers(len(people[side]), size=count).tolist():
            person = people[side][number]
            says = utterance(str(rng.choice(NEAR_WORDS[side])), person, rng)
            plans.append(Plan(len(plans), split, (f"{side} {number}",), person, None, None, NEAR, (says,)))
    return plans


def utterance(text: str, person: Persona, rng: np.random.Generator) -> Utterance:
    """Return `text` as a person says it this time: a little higher or slower than the last."""
    pitch, pace = person.pitch + int(rng.integers(-8, 9)), person.pace + int(rng.integers(-15, 16))
    return Utterance(text, person.voice, pitch, pace, person.melody)


def _other_words(
    sound: str, number: int, people: Sequence[Persona], rng: np.random.Generator
) -> tuple[Utterance, ...]:
    speakers = {
        "words": [number],
        "babble": rng.integers(len(people), size=int(rng.integers(3, 7))).tolist(),
    }
    words = OTHER_WORDS[people[number].side]
    return tuple(utterance(str(rng.choice(words)), people[n], rng) for n in speakers.get(sound, ()))
