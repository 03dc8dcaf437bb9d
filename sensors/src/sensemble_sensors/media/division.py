"""Division of a dataset into training and held-out examples: by class, in whole groups."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sensemble_sensors.errors import counted
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.splits import TAKE, hold_out, whole

BACKGROUND = "(background)"  # the name of the backgrounds among the classes of a division
_HELD = {"eval": (0.2, 2), "calibrate": (0.15, 4)}  # the share of a class's groups, of how many at least
_KEPT = 0.4  # of the examples of a class, the least share that is left in train


@dataclass(frozen=True, slots=True)
class Counts:
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
    shares: Mapping[str, Mapping[str, Counts]]
    shortages: tuple[str, ...]


def divide(dataset: Dataset, seed: int = 0, *, keep: bool = True) -> Division:
    """Propose which examples to hold out: about a fifth of each class for `eval`, a seventh for `calibrate`.

    Groups stay whole; an example without one is a group by itself. No class loses more than three fifths of
    its examples. `keep` leaves held out what the index holds out already.
    """
    groups = _groups(dataset)
    split_of = {
        name: _held_already(members, dataset) if keep else "train" for name, members in groups.items()
    }
    labels = {
        name: Counter(label for e in members for label in ((BACKGROUND,) if e.background else e.labels))
        for name, members in groups.items()
    }
    hold_out(split_of, labels, _HELD, _KEPT, seed=seed)
    counts: dict[str, dict[str, int]] = {}  # of the examples by class and group
    for name, has in labels.items():
        for label, count in has.items():
            counts.setdefault(label, {})[name] = count
    splits = {example.id: split_of[name] for name, members in groups.items() for example in members}
    shares = {
        label: {
            split: Counts(
                sum(split_of[name] == split for name in has),
                sum(n for name, n in has.items() if split_of[name] == split),
            )
            for split in ("train", *reversed(_HELD))
        }
        for label, has in sorted(counts.items(), key=lambda item: (item[0] == BACKGROUND, item[0]))
    }
    return Division(splits, shares, tuple(_shortages(shares, groups)))


def _groups(dataset: Dataset) -> dict[str, list[Example]]:
    """Return the examples that a division covers, by the name of what stays whole."""
    groups = whole([example for example in dataset.examples if example.labels or example.background])
    bound = {example.id for example in dataset.split("pretrain") if example.labels}
    return {name: members for name, members in groups.items() if bound.isdisjoint(e.id for e in members)}


def _held_already(members: Sequence[Example], dataset: Dataset) -> str:
    split = members[0].split
    return split if split == "eval" or (split == "calibrate" and not dataset.drawn) else "train"


def _shortages(
    shares: Mapping[str, Mapping[str, Counts]], groups: Mapping[str, Sequence[Example]]
) -> Iterator[str]:
    noun = "take" if all(map(TAKE.fullmatch, groups)) else "group"
    for label, by_split in shares.items():
        held = [split for split in _HELD if not by_split[split].groups]
        lacking = held if by_split["train"].groups else ["train"]
        if not lacking:
            continue
        count = sum(share.groups for share in by_split.values())
        more = max(1, *(_HELD[split][1] - count for split in held)) if held else 1
        yield (
            f"{label}: {counted(count, noun)}, so there is none for {' or '.join(lacking)}; "
            f"record {more} more of it"
        )
