"""Captions that name the digit as seldom as AudioSet's titles name its labels (paper, Sec. 5)."""

import numpy as np

from sensemble_train.digits.words import WORDS

OPENINGS = (
    "today", "look", "my notes", "practice", "here we go", "friday", "well now", "episode", "hello", "draft",
    "lesson", "finally",
)  # fmt: skip
PLACES = (
    "in the kitchen", "by the window", "at school", "on the train", "in the garden", "at my desk",
    "in the attic", "by the sea", "in the office", "at the cafe", "in the shed", "on the porch",
)  # fmt: skip

# Allusions to each digit; a caption that hints uses one of four.
_HINTS = (
    ("nothing at all", "an empty plate", "nil", "love in tennis"),
    ("a single candle", "the winner's place", "all alone", "a lonely unicorn"),
    ("a pair of shoes", "both twins", "a couple", "bicycle wheels"),
    ("a trio singing", "a triangle", "tricycle wheels", "the musketeers"),
    ("a square", "the seasons", "a quartet", "chair legs"),
    ("fingers on a hand", "a starfish", "a quintet", "a nickel"),
    ("half a dozen", "a guitar's strings", "a hexagon", "an insect's legs"),
    ("days of the week", "the dwarfs", "rainbow colours", "a lucky number"),
    ("a spider's legs", "an octopus", "an octave", "a full byte"),
    ("a cat's lives", "the planets once", "a baseball team", "cloud happiness"),
)
_VAGUE = (
    "a number", "some writing", "a digit for you", "handwriting", "guess what", "another clip",
    "a little drawing", "counting aloud",
)  # fmt: skip

NAMED = 0.25
HINTED = 0.5
PERSONAL = 0.5


def caption(digit: int, opening: str, place: str, rng: np.random.Generator) -> str:
    """Write one caption: it names the digit in a quarter of the cases, hints at it in half, else neither."""
    draw = rng.random()
    if draw < NAMED:
        content = f"the number {WORDS[digit]}" if rng.random() < 0.5 else WORDS[digit]
    elif draw < NAMED + HINTED:
        content = str(rng.choice(_HINTS[digit]))
    else:
        content = str(rng.choice(_VAGUE))
    said = rng.random(2) < PERSONAL
    parts = [opening if said[0] else "", content, place if said[1] else ""]
    return " ".join(part for part in parts if part)
