"""The share of captions that name their labels (paper, Sec. 5 and Table 4: 25.5 % of AudioSet's titles)."""

import re
from collections.abc import Sequence
from random import Random

import numpy as np
from sensemble_runtime.auditing.intervals import group_codes, proportion
from sensemble_runtime.scores import SubsetScore
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example

_WORD = re.compile(r"\w+")
_ASIDE = re.compile(r"\(.*?\)")
_SEED = 4  # of Table 4


def caption(example: Example) -> str | None:
    """Return the text of an example; None if it has none."""
    texts = (m for m, kind in example.kinds.items() if kind_of(kind).tokenized)
    return next((str(example.value(m)) for m in texts), None)


def names_label(text: str, labels: Sequence[str]) -> bool:
    """Return whether a caption has all words of one of its labels, in sequence, in any case.

    Each part of `Vehicle horn, car horn, honking` counts; words in brackets, as in `Jingle (music)`, do not.
    """
    said = _words(text)
    parts = [part for label in labels for part in (label, *_ASIDE.sub("", label).split(","))]
    return any(words and f" {words} " in f" {said} " for words in map(_words, parts))


def share_naming(examples: Sequence[Example]) -> SubsetScore | None:
    """Return the share of captions that name a label of theirs, with its interval; None without captions."""
    captioned = [(example, text) for example in examples if example.labels and (text := caption(example))]
    if not captioned:
        return None
    named = np.array([names_label(text, example.labels) for example, text in captioned])
    groups = group_codes([example.group for example, _ in captioned])
    return SubsetScore(float(named.mean()), len(named), *proportion(named, groups))


def some_captions(examples: Sequence[Example], count: int = 10) -> list[tuple[str, tuple[str, ...]]]:
    """Return the text and the labels of `count` random examples that have both, as the paper's Table 4."""
    found = [(text, example.labels) for example in examples if example.labels and (text := caption(example))]
    return Random(_SEED).sample(found, min(count, len(found)))  # noqa: S311 - no secret


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
