"""Splits and groups: whole groups are held out; `calibrate` is drawn from `train` where it is missing."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Protocol, TypeVar

from sensemble_sensors.errors import BadDataError

SPLITS = ("pretrain", "train", "calibrate", "eval")
MIN_TRAIN = 20  # examples of `train` below which it is too small to draw `calibrate` from
PROMISED = 19  # groups by which at most 5 % of answers can be promised to be sure and wrong: 1 / 0.05 - 1
_SHARE = 0.1  # of `train` that is drawn,
_MOST = 1 / 3  # or up to this of a small one, for `PROMISED` groups; and of a label or a modality
_ROUNDING = 1e-9  # a third of 6 is 2
TAKE = re.compile(r"take ([1-9][0-9]{0,6})")  # the group of a take of a recording
SITTING = "the takes of one sitting"
ALL = ""  # the trait of every example
_LEAST = 4  # groups of a label or a modality of which one is drawn


class _Member(Protocol):
    """The part of an example that splits depend on; see `dataset.Example`."""

    @property
    def id(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def background(self) -> bool: ...
    @property
    def modalities(self) -> tuple[str, ...]: ...


_M = TypeVar("_M", bound=_Member)


class GroupSplits:
    """The split of the labelled examples and backgrounds of each group; `pretrain` counts as `train`."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, str]] = {}  # the split, and the place of its first example

    def add(self, group: str, split: str, where: str) -> None:
        """Add a labelled example or a background; BadDataError if another split holds its group."""
        side = "train" if split == "pretrain" else split
        held, first = self._held.setdefault(group, (side, where))
        if held != side:
            raise BadDataError(
                f"group: {group!r} is in {split} here and in {held} at {first}; a group must not be split: "
                "give both examples one split, or this one another group"
            )


def hold_out(
    split_of: dict[str, str],
    traits: Mapping[str, Counter[str]],
    shares: Mapping[str, tuple[float, int]],
    kept: float,
    most: float = math.inf,
    seed: int = 0,
) -> None:
    """Move whole groups from `train` to other splits, so that each of these has its share of every trait.

    The choice depends on the seed and the names of the groups, not on their order, so one more group changes
    little.

    Args:
        split_of: the split of each group by its name; changed in place.
        traits: of each group the number of its examples with a label, say.
        shares: by split, its share of the groups with a trait, and how many there must be for it to have one.
        kept: the least share of the examples with a trait that stays in `train`.
        most: the number of examples that may be moved, if `traits` counts them as `ALL`.
    """
    order = sorted(split_of, key=lambda name: sha256(f"{seed} {name}".encode(errors="replace")).digest())
    having: dict[str, list[str]] = {}
    total: Counter[str] = Counter()
    left: Counter[str] = Counter()  # of the total, the examples that are in `train`
    for name in order:
        for trait in traits[name]:
            having.setdefault(trait, []).append(name)
        total.update(traits[name])
        left.update(traits[name] if split_of[name] == "train" else ())
    # The rarest first: a group of several traits then counts for all of them.
    for _, names in sorted(having.items(), key=lambda item: (len(item[1]), item[0])):
        for split, (share, least) in shares.items():
            wanted = max(1, round(share * len(names))) if len(names) >= least else 0
            wanted -= sum(split_of[name] == split for name in names)
            for name in names:
                if wanted <= 0:
                    break
                has, size = traits[name], traits[name][ALL]
                spared = all(left[one] - n >= kept * total[one] for one, n in has.items())
                if split_of[name] == "train" and size <= most and spared:
                    split_of[name] = split
                    left.subtract(has)
                    most -= size
                    wanted -= 1


def connected(sets: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return for each name the least one that it is connected to; the names of one set are connected."""
    above: dict[str, str] = {}

    def least(name: str) -> str:
        while (upper := above.setdefault(name, name)) != name:
            above[name] = above[upper]
            name = upper
        return name

    for names in sets:
        for name in names:
            first, last = sorted((least(names[0]), least(name)))
            above[last] = first
    return {name: least(name) for name in above}


def people(sets: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return for each name of a group the person that it is of, by the groups of all examples.

    Groups that share an example are of one person, whatever their order. The takes of one sitting are of one
    person, except those whose examples are in another group too, such as that of a person.
    """
    least = connected(sets)
    named = dict[str, str]()
    for name in sorted(least):
        if not TAKE.fullmatch(name):
            named.setdefault(least[name], name)
    return {name: named.get(first, SITTING) for name, first in least.items()}


def whole(examples: Sequence[_M]) -> dict[str, list[_M]]:
    """Return the examples that must be in one split, by a name: those whose groups are connected, or one."""
    names = connected(example.groups for example in examples)
    found: dict[str, list[_M]] = {}
    for example in examples:
        name = names[example.groups[0]] if example.groups else example.id
        found.setdefault(name, []).append(example)
    return found


def draw(examples: Sequence[_Member]) -> frozenset[str]:
    """Choose a tenth of `train`, in whole groups, for the split `calibrate`; return the ids.

    Where a tenth has fewer than `PROMISED` groups, it is more, up to a third. Each label, each modality and
    the backgrounds are drawn if there is room, and lose a third of their examples at most. A group with
    labelled examples or backgrounds in another split is not drawn. None are chosen if `calibrate` exists
    already, `train` has fewer than `MIN_TRAIN` apart from backgrounds, or fewer than two groups can be drawn.
    """
    train = [example for example in examples if example.split == "train"]
    known = [example for example in examples if not example.background]
    small = sum(example.split == "train" for example in known) < MIN_TRAIN
    if small or any(example.split == "calibrate" for example in known):
        return frozenset()
    groups = {
        name: members
        for name, members in whole([e for e in examples if e.labels or e.background]).items()
        if all(example.split == "train" for example in members)
    }
    split_of = dict.fromkeys(groups, "train")
    traits = {name: Counter(t for e in members for t in _traits(e)) for name, members in groups.items()}
    share = max(_SHARE, min(_MOST, PROMISED / max(1, len(groups)))) + _ROUNDING
    hold_out(split_of, traits, {"calibrate": (share, _LEAST)}, 1 - _MOST - _ROUNDING, len(train) * share)
    drawn = [name for name, split in split_of.items() if split == "calibrate"]
    if len(drawn) < 2:
        return frozenset()
    return frozenset(example.id for name in drawn for example in groups[name])


def _traits(example: _Member) -> tuple[str, ...]:
    if example.background:
        return ALL, "background"
    return (ALL, *(f"label {label}" for label in example.labels), *example.modalities)
