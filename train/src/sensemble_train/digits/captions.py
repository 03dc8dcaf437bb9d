"""Captions that name the digit as seldom as AudioSet's titles name its labels (paper, Sec. 5).

A phrase is a frame and a thing. Things are the same on all sides; a frame meets other things on each side, or
is one side's own. So no phrase is on two sides: most hints of `eval` can be learned from `train`, but no
caption can be looked up.
"""

import numpy as np

from sensemble_train.digits.voices import WORDS, Side

OPENINGS: dict[Side, tuple[str, ...]] = {
    "train": (
        "today", "look", "my notes", "practice", "here we go", "friday", "well now", "episode", "hello",
        "draft", "lesson", "finally",
    ),
    "calibrate": ("this time", "monday", "a test", "so then", "chapter"),
    "eval": ("again", "sunday", "a try", "right then", "part", "good evening"),
}  # fmt: skip
PLACES: dict[Side, tuple[str, ...]] = {
    "train": (
        "in the kitchen", "by the window", "at school", "on the train", "in the garden", "at my desk",
        "in the attic", "by the sea", "in the office", "at the cafe", "in the shed", "on the porch",
    ),
    "calibrate": ("in the hall", "by the river", "at work", "on the bus", "in the barn"),
    "eval": ("in the cellar", "by the fire", "at home", "on the boat", "in the park", "at the library"),
}  # fmt: skip

_THINGS = (
    "apples", "bells", "boats", "books", "candles", "chairs", "clouds", "coins", "dancers", "doors", "drums",
    "ducks", "gloves", "horses", "kites", "lamps", "letters", "mice", "oranges", "roses", "shoes", "singers",
    "stars", "swans", "tables", "trains", "trees", "windows",
)  # fmt: skip
# Three frames for each digit on every side, then one for `calibrate` alone and one for `eval` alone.
_HINTS = (
    ("an empty box of {}", "a bucket without {}", "no {} at all", "a lack of {}", "nothing but air and {}"),
    ("the only box of {}", "a solo with {}", "the first of the {}", "a lone man with {}", "a unicorn and {}"),
    ("a pair of {}", "twins with {}", "a couple of {}", "a brace of {}", "a duo of {}"),
    ("a trio of {}", "triplets with {}", "a tripod for {}", "a tricycle with {}", "a triangle of {}"),
    ("a quartet of {}", "a square of {}", "the seasons of {}", "quadruplets with {}", "a quarter of the {}"),
    ("a quintet of {}", "a handful of {}", "a starfish and {}", "a nickel for {}", "quintuplets with {}"),
    ("a sextet of {}", "half a dozen {}", "an insect on {}", "a hexagram of {}", "a hexagon of {}"),
    ("a septet of {}", "a week of {}", "a rainbow over {}", "the dwarfs with {}", "a heptagon of {}"),
    ("an octet of {}", "an octopus with {}", "a spider on {}", "an octave of {}", "an octagon of {}"),
    ("a nonet of {}", "a cat's lives and {}", "the planets and {}", "the muses with {}", "a nonagon of {}"),
)
_SHARED = 3
_NAMES: dict[Side, tuple[str, ...]] = {
    "train": ("{}", "the number {}", "a big {}", "this is {}", "it says {}", "{} in ink"),
    "calibrate": ("here is {}", "the figure {}"),
    "eval": ("somebody wrote {}", "the digit {}", "my own {}"),
}
_VAGUE = ("some {}", "more {}", "neat {}", "quick {}", "messy {}", "my {}", "careful {}", "guess the {}")
_MARKS = (
    "counting", "drawings", "figures", "handwriting", "homework", "marks", "numbers", "pencil strokes",
    "scribbles", "writing",
)  # fmt: skip
_ELSEWHERE: dict[Side, tuple[str, ...]] = {
    "train": (
        "the dog", "my neighbour", "grandmother", "the market", "a river", "our soup", "the film", "the bus",
        "a storm", "the baker", "my sister", "the museum",
    ),
    "calibrate": ("the farmer", "a forest", "our dinner", "the concert"),
    "eval": ("the teacher", "a village", "our breakfast", "the football match", "my brother", "the ferry"),
}  # fmt: skip
_EVENTS = (
    "sleeps under a blanket", "is late because of snow", "smells of fresh coffee", "was better last year",
    "needs a new roof", "makes everybody laugh", "is far too loud", "lies behind the hill", "costs too much",
    "will be closed tomorrow", "looks tired", "tastes of lemon",
)  # fmt: skip

_DENIED: dict[Side, tuple[str, ...]] = {
    "calibrate": ("far from a {}", "we could not find the {}"),
    "eval": ("nobody drew a {}", "anything but {}", "not one looks like a {}", "it isn't {}"),
}
_LARGE: dict[Side, tuple[str, ...]] = {
    "calibrate": ("fourteen", "sixty", "ninety", "a thousand"),
    "eval": ("eleven", "thirteen", "seventeen", "twenty", "thirty", "forty", "fifty", "a hundred"),
}
_IDIOMS: dict[Side, tuple[str, ...]] = {
    "calibrate": ("one way or another", "on all fours", "the whole nine yards", "five o'clock shadow"),
    "eval": (
        "on cloud nine", "two peas in a pod", "at sixes and sevens", "zero tolerance", "six feet under",
        "in seventh heaven", "give me five minutes", "three cheers for her", "one of a kind",
        "third time lucky", "catch twenty two", "behind the eight ball",
    ),
}  # fmt: skip

NAMED = 0.25
HINTED = 0.5
PERSONAL = 0.5


def _part(things: tuple[str, ...], side: Side, key: int) -> tuple[str, ...]:
    """Return the things that a frame, numbered `key`, meets on a side: about 6 in 10, 1 in 5 and 1 in 5."""
    order = np.random.default_rng([5, key]).permutation(len(things))
    fifth = len(things) // 5
    places = {"eval": order[:fifth], "calibrate": order[fifth : 2 * fifth], "train": order[2 * fifth :]}
    return tuple(things[place] for place in sorted(places[side]))


def hints(digit: int, side: Side) -> tuple[tuple[str, ...], ...]:
    """Return the phrases that hint at a digit on a side, by frame."""
    shared = [
        tuple(frame.format(thing) for thing in _part(_THINGS, side, 10 * digit + number))
        for number, frame in enumerate(_HINTS[digit][:_SHARED])
    ]
    own = dict(zip(("calibrate", "eval"), _HINTS[digit][_SHARED:], strict=True)).get(side)
    return (*shared, tuple(own.format(thing) for thing in _THINGS)) if own else tuple(shared)


def names(digit: int, side: Side) -> tuple[str, ...]:
    """Return the phrases that name a digit on a side."""
    return tuple(frame.format(WORDS[digit]) for frame in _NAMES[side])


def vague(side: Side) -> tuple[str, ...]:
    """Return the phrases of a side that say nothing of the digit."""
    parts = (_part(_MARKS, side, 100 + number) for number in range(len(_VAGUE)))
    return tuple(frame.format(mark) for frame, part in zip(_VAGUE, parts, strict=True) for mark in part)


def elsewhere(side: Side) -> tuple[str, ...]:
    """Return the phrases of a side about something else than a digit."""
    return tuple(f"{subject} {event}" for subject in _ELSEWHERE[side] for event in _EVENTS)


def near_phrases(side: Side) -> tuple[tuple[str, ...], ...]:
    """Return the phrases of a side that deny a digit, that count higher, and that are idioms with one."""
    denied = tuple(frame.format(word) for frame in _DENIED[side] for word in WORDS)
    large = tuple(f"{count} {thing}" for count in _LARGE[side] for thing in _THINGS)
    return denied, large, _IDIOMS[side]


def near_phrase(side: Side, rng: np.random.Generator) -> str:
    """Draw a phrase that is near a digit and means none."""
    sorts = near_phrases(side)
    return str(rng.choice(sorts[int(rng.integers(len(sorts)))]))


def phrase(digit: int | None, side: Side, rng: np.random.Generator) -> str:
    """Draw a phrase that names the digit (a quarter), hints at it (half) or is about something else."""
    if digit is None:
        return str(rng.choice(elsewhere(side)))
    draw = rng.random()
    if draw < NAMED:
        return str(rng.choice(names(digit, side)))
    if draw < NAMED + HINTED:
        frames = hints(digit, side)
        return str(rng.choice(frames[int(rng.integers(len(frames)))]))
    return str(rng.choice(vague(side)))


def caption(phrase: str, opening: str, place: str, rng: np.random.Generator) -> str:
    """Write one caption: a phrase between its person's opening and place, each in half of the cases."""
    said = rng.random(2) < PERSONAL
    parts = [opening if said[0] else "", phrase, place if said[1] else ""]
    return " ".join(part for part in parts if part)
