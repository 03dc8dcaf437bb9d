"""The conditions of captions."""

from collections.abc import Callable
from dataclasses import replace
from string import ascii_lowercase

from sensemble_sensors.kinds.conditions.condition import GAPS, SWAPPED, Condition, Degradation, Draw, swapped
from sensemble_sensors.spec import InputSpec


def _dropped(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    def drop(caption: str) -> str:
        words = caption.split()
        chances = draw.random(len(words))
        least = min(amount / 100, chances.max(initial=0))  # the luckiest word stays
        return " ".join(word for word, chance in zip(words, chances, strict=True) if chance >= least)

    return _each(drop)


def _late(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    """Give the caption before in place of one that comes too late."""
    before = ""

    def wait(caption: str) -> str:
        nonlocal before
        shown = before if before and draw.random() < amount / 100 else caption
        before = caption
        return shown

    return _each(wait)


def _misspelt(amount: float, spec: InputSpec, draw: Draw) -> Degradation:  # noqa: ARG001
    """Mistype `amount` per cent of all letters: leave one out, double it, or hit another."""

    def mistype(caption: str) -> str:
        letters = list(caption)
        for i, wrong in enumerate(draw.random(len(letters)) < amount / 100):
            if wrong and letters[i].isalpha():
                other = ascii_lowercase[draw.integers(len(ascii_lowercase))]
                letters[i] = ("", 2 * letters[i], other)[draw.integers(3)]
        return "".join(letters)

    return _each(mistype)


CONDITIONS = (
    Condition("dropped", "{} that miss words", "{:g} % of the words missing", (10, 20, 30, 50, 70), _dropped),
    Condition("misspelt", "misspelt {}", "{:g} % of the letters mistyped", (2, 5, 10, 20, 30), _misspelt),
    Condition("gaps", "late {}", "{:g} % of captions late by one", GAPS, _late),
    Condition("swapped", "lying {}", "{:g} % of scenes swapped", SWAPPED, swapped),
)


def _each(act: Callable[[str], str]) -> Degradation:
    return lambda sample: replace(sample, data=act(str(sample.data)))
