"""Splits and groups: a group is in one split only; `calibrate` is drawn from `train` where it is missing."""

import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Protocol

from sensemble_sensors.errors import BadDataError

_Key = tuple[bool, str]  # whether it is a group, and its name; or the id of an example without one

SPLITS = ("pretrain", "train", "calibrate", "eval")
MIN_TRAIN = 20
"""Examples of `train` below which it is too small to draw `calibrate` from."""
_SHARE = 10  # one example of `train` in this many is drawn
_SPARED = 4  # no label and no modality loses more than one of its examples in this many


class _Member(Protocol):
    """The part of an example that splits depend on; see `dataset.Example`."""

    @property
    def id(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def group(self) -> str | None: ...
    @property
    def background(self) -> bool: ...
    @property
    def modalities(self) -> tuple[str, ...]: ...


class Groups:
    """The split that holds the labelled examples and the backgrounds of each group.

    An unlabelled example may be of any group, for it gives away no label. A labelled example or a background
    of `pretrain` counts as one of `train`: both are trained on.
    """

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


def draw(examples: Sequence[_Member]) -> frozenset[str]:
    """Choose a tenth of `train`, in whole groups, for the split `calibrate`; return the ids.

    The choice depends on the names of the groups (or the ids of examples without one), not on their order.
    Each label, each modality and the backgrounds are drawn if there is room, and lose a quarter of their
    examples at most. A group with labelled examples or backgrounds in `pretrain` is not drawn.

    None are chosen if `calibrate` exists already, `train` has fewer than `MIN_TRAIN`, or fewer than two
    groups can be drawn; backgrounds alone make no split, and do not count here.
    """
    train = [example for example in examples if example.split == "train"]
    known = [example for example in examples if not example.background]
    small = sum(example.split == "train" for example in known) < MIN_TRAIN
    if small or any(example.split == "calibrate" for example in known):
        return frozenset()
    bound = {e.group for e in examples if e.split == "pretrain" and (e.labels or e.background)}
    members = _free(train, bound)
    order = sorted(members, key=lambda key: (zlib.crc32(key[1].encode(errors="backslashreplace")), key))
    traits = {key: Counter(trait for e in members[key] for trait in _traits(e)) for key in order}
    counts = Counter(trait for example in train for trait in _traits(example))
    having: dict[str, list[_Key]] = {trait: [] for trait in counts}
    for key in order:
        for trait in traits[key]:
            having[trait].append(key)
    rarest = sorted(counts, key=lambda trait: (counts[trait], trait))
    met: Counter[str] = Counter()
    taken: set[_Key] = set()
    drawn: list[str] = []

    def fits(key: _Key) -> bool:
        few = key not in taken and len(drawn) + len(members[key]) <= len(train) // _SHARE
        return few and all(met[t] + n <= counts[t] // _SPARED for t, n in traits[key].items())

    # One of each trait, then whatever there is room for.
    for trait, candidates in (*((trait, having[trait]) for trait in rarest), ("", order)):
        for key in candidates:
            if met[trait]:
                break
            if fits(key):
                taken.add(key)
                drawn += [example.id for example in members[key]]
                met.update(traits[key])
    return frozenset(drawn) if len(taken) > 1 else frozenset()


def _free(train: Sequence[_Member], bound: Collection[str | None]) -> dict[_Key, list[_Member]]:
    """Return the examples of `train` by group, without the `bound` groups; one without a group is alone."""
    members: dict[_Key, list[_Member]] = {}
    for example in train:
        if example.group is None:
            members[False, example.id] = [example]
        elif example.group not in bound:
            members.setdefault((True, example.group), []).append(example)
    return members


def _traits(example: _Member) -> tuple[str, ...]:
    if example.background:
        return ("background",)
    return (*(f"label {label}" for label in example.labels), *example.modalities)
