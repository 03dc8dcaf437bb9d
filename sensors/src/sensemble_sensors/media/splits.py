"""Splits and groups: what belongs together lies in one split; `calibrate` is drawn where there is none."""

import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from sensemble_sensors.errors import BadDataError

if TYPE_CHECKING:
    from sensemble_sensors.media.dataset import Example

_Key = tuple[bool, str]  # whether it is a group, and its name; or the id of an example without one

SPLITS = ("pretrain", "train", "calibrate", "eval")
LEAST = 20
"""Examples of `train` below which it is too small to draw `calibrate` from."""
_SHARE = 10  # one in so many examples of `train` is drawn
_SPARED = 4  # no label and no modality loses more than one in so many of its examples


class Groups:
    """The split that holds the labelled examples of each group.

    An unlabelled example may be of any group, for it gives away no label. A labelled one of `pretrain` counts
    as one of `train`: both are trained on.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, str]] = {}  # the split, and where it was met first

    def add(self, group: str, split: str, where: str) -> None:
        """Note that a labelled example at `where` is of a group.

        Raises:
            BadDataError: another split holds that group.
        """
        side = "train" if split == "pretrain" else split
        held, first = self._held.setdefault(group, (side, where))
        if held != side:
            raise BadDataError(
                f"group: {group!r} is in {split} here and in {held} at {first}; a group must not be split: "
                "give both examples one split, or this one another group"
            )


def draw(examples: Sequence["Example"]) -> frozenset[str]:
    """Choose examples of `train` to make the split `calibrate` of: a tenth, in whole groups.

    Which ones is a function of the names of the groups (of an example without one, its id), whatever order
    they come in. Each label and each modality is met if there is room for it, and loses a quarter of its
    examples at most. A group with labelled examples in `pretrain` stays with these.

    Args:
        examples: of all splits.

    Returns:
        The ids of the examples; none where `calibrate` is there already, `train` has fewer than `LEAST`, or
        fewer than two groups can be spared.
    """
    train = [example for example in examples if example.split == "train"]
    if len(train) < LEAST or any(example.split == "calibrate" for example in examples):
        return frozenset()
    members = _free(train, {e.group for e in examples if e.split == "pretrain" and e.labels})
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

    # One of each, then whatever there is room for, which is of no trait.
    for trait, candidates in (*((trait, having[trait]) for trait in rarest), ("", order)):
        for key in candidates:
            if met[trait]:
                break
            if fits(key):
                taken.add(key)
                drawn += [example.id for example in members[key]]
                met.update(traits[key])
    return frozenset(drawn) if len(taken) > 1 else frozenset()


def _free(train: Sequence["Example"], bound: Collection[str | None]) -> dict[_Key, list["Example"]]:
    """Return the examples of `train` by group, an example without one by itself, but for `bound` groups."""
    members: dict[_Key, list[Example]] = {}
    for example in train:
        if example.group is None:
            members[False, example.id] = [example]
        elif example.group not in bound:
            members.setdefault((True, example.group), []).append(example)
    return members


def _traits(example: "Example") -> tuple[str, ...]:
    return (*(f"label {label}" for label in example.labels), *example.modalities)
