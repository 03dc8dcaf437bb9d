"""Division of a dataset into training and held-out examples: by class, in whole groups."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from sensemble_sensors.media.dataset import Dataset, Example

BACKGROUND = "(background)"
"""The name of the backgrounds among the classes of a division."""
_HELD = {"eval": (0.2, 2), "calibrate": (0.15, 4)}
"""The split -> the share of the groups of a class that it should have, and the groups that this takes."""
_KEPT = 0.4  # of the examples of a class, the least share that is left in train


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a class that a split has."""

    groups: int = 0
    examples: int = 0


@dataclass(frozen=True, slots=True)
class Division:
    """A proposal of which examples are held out; `recording.editing.set_splits` writes it.

    Attributes:
        splits: `train`, `calibrate` or `eval` by the id of each example that it covers: those with labels and
            the backgrounds. Unlabelled examples, and labelled ones of `pretrain`, stay where they are.
        shares: by class, `BACKGROUND` last, and by split.
        shortages: a sentence for each class with too few groups to hold some out.
    """

    splits: Mapping[str, str]
    shares: Mapping[str, Mapping[str, Share]]
    shortages: tuple[str, ...]


def divide(dataset: Dataset, seed: int = 0, *, keep: bool = True) -> Division:
    """Propose which examples to hold out: about a fifth of each class for `eval`, a seventh for `calibrate`.

    Groups stay whole; an example without one is a group of its own. No class loses more than three fifths of
    its examples. The choice depends on the seed and the names of the groups, not on their order, so one more
    group changes little. `keep` leaves held out what the index holds out already.
    """
    groups = _groups(dataset)
    at = {name: _held_already(members, dataset) if keep else "train" for name, members in groups.items()}
    counts: dict[str, Counter[str]] = {}  # of the examples by class and group, in the order of the draw
    for name in sorted(groups, key=lambda name: sha256(f"{seed} {name}".encode(errors="replace")).digest()):
        for example in groups[name]:
            for label in (BACKGROUND,) if example.background else example.labels:
                counts.setdefault(label, Counter())[name] += 1

    def spared(name: str) -> bool:
        """Return whether every class is left with enough to train on if a group is held out too."""
        return all(
            sum(n for other, n in has.items() if at[other] == "train" and other != name)
            >= _KEPT * has.total()
            for has in counts.values()
            if name in has
        )

    # The rarest first: a group of several classes then counts for all of them.
    for _, has in sorted(counts.items(), key=lambda item: (len(item[1]), item[0])):
        for split, (share, least) in _HELD.items():
            wanted = max(1, round(share * len(has))) if len(has) >= least else 0
            held = sum(at[name] == split for name in has)
            for name in has:
                if held < wanted and at[name] == "train" and spared(name):
                    at[name] = split
                    held += 1
    splits = {example.id: at[name] for name, members in groups.items() for example in members}
    shares = {
        label: {
            split: Share(
                sum(at[name] == split for name in has), sum(n for name, n in has.items() if at[name] == split)
            )
            for split in ("train", *reversed(_HELD))
        }
        for label, has in sorted(counts.items(), key=lambda item: (item[0] == BACKGROUND, item[0]))
    }
    return Division(splits, shares, tuple(_shortages(shares, groups)))


def _groups(dataset: Dataset) -> dict[str, list[Example]]:
    """Return the examples that a division covers, by the name of their group, or their id."""
    bound = {example.group or example.id for example in dataset.split("pretrain") if example.labels}
    groups: dict[str, list[Example]] = {}
    for example in dataset.examples:
        name = example.group or example.id
        if (example.labels or example.background) and name not in bound:
            groups.setdefault(name, []).append(example)
    return groups


def _held_already(members: Sequence[Example], dataset: Dataset) -> str:
    split = members[0].split
    return split if split == "eval" or (split == "calibrate" and not dataset.drawn) else "train"


def _shortages(
    shares: Mapping[str, Mapping[str, Share]], groups: Mapping[str, Sequence[Example]]
) -> Iterator[str]:
    noun = "take" if all(re.fullmatch(r"take \d+", name) for name in groups) else "group"
    for label, by_split in shares.items():
        held = [split for split in _HELD if not by_split[split].groups]
        lacking = held if by_split["train"].groups else ["train"]
        if not lacking:
            continue
        count = sum(share.groups for share in by_split.values())
        more = max(1, *(_HELD[split][1] - count for split in held)) if held else 1
        yield (
            f"{label}: {_counted(count, noun)}, so there is none for {' or '.join(lacking)}; "
            f"record {more} more of it"
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
