"""Whole groups are held out, by class, and no class is left without examples to train on."""

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.division import BACKGROUND, divide

from tests.sensors.studio import example

ALL = ("train", "calibrate", "eval")


def takes(counts: dict[str, int], segments: int = 3) -> Dataset:
    """A dataset of so many takes of each class."""
    found: list[Example] = []
    number = 0
    for label, count in counts.items():
        for _ in range(count):
            number += 1
            for _ in range(segments):
                known = "" if label == BACKGROUND else label
                background = label == BACKGROUND
                found.append(example(len(found), f"take {number}", label=known, background=background))
    return Dataset(Path("x"), tuple(found))


def groups(dataset: Dataset, label: str, seed: int = 0) -> tuple[int, ...]:
    """How many groups of a class a division gives to train, calibrate and eval."""
    shares = divide(dataset, seed).shares[label]
    return tuple(shares[split].groups for split in ALL)


def test_three_classes_of_twenty_takes_are_divided_evenly() -> None:
    dataset = takes({"yes": 20, "no": 20, "stop": 20, BACKGROUND: 10})
    division = divide(dataset)
    assert list(division.shares) == ["no", "stop", "yes", BACKGROUND]
    assert {label: groups(dataset, label) for label in division.shares} == {
        "yes": (13, 3, 4),
        "no": (13, 3, 4),
        "stop": (13, 3, 4),
        BACKGROUND: (6, 2, 2),
    }
    assert division.shares["yes"]["eval"].examples == 12
    assert division.shortages == ()
    assert divide(dataset) == division
    assert divide(dataset, 1).splits != division.splits


def test_a_class_of_few_takes_keeps_some_to_train_on_and_is_named() -> None:
    found = {n: groups(takes({"yes": n, "no": 20}), "yes") for n in (1, 2, 3, 4, 5)}
    assert found == {1: (1, 0, 0), 2: (1, 0, 1), 3: (2, 0, 1), 4: (2, 1, 1), 5: (3, 1, 1)}
    assert divide(takes({"yes": 1, "no": 20})).shortages == (
        "yes: 1 take, so there is none for eval or calibrate; record 3 more of it",
    )
    assert divide(takes({"yes": 3, "no": 20})).shortages == (
        "yes: 3 takes, so there is none for calibrate; record 1 more of it",
    )


def test_unlabelled_examples_and_labelled_ones_of_pretraining_stay() -> None:
    dataset = takes({"yes": 10, "no": 10})
    others = (
        example(900, "take 1", split="pretrain", label=""),  # the short rest of a take
        example(901, "take 90", split="pretrain", label=""),
        example(902, "take 91", label="yes", split="pretrain"),
        example(903, "take 92", split="pretrain", label="", background=True),
    )
    division = divide(Dataset(Path("x"), dataset.examples + others))
    assert division.splits.keys() == {*(e.id for e in dataset.examples), "e903"}


def test_what_is_held_out_stays_so_unless_all_is_drawn_anew() -> None:
    dataset = takes({"yes": 10, "no": 10})
    held = {"take 3": "eval", "take 15": "calibrate"}
    marked = Dataset(
        Path("x"),
        tuple(
            example(i, *e.groups, label=e.labels[0], split=held.get(e.group or "", "train"))
            for i, e in enumerate(dataset.examples)
        ),
    )
    for seed in range(5):
        division = divide(marked, seed)
        assert {(e.group, division.splits[e.id]) for e in marked.examples if e.group in held} == set(
            held.items()
        )
        assert [division.shares["yes"][split].groups for split in ALL] == [6, 2, 2]
    anew = [divide(marked, seed, keep=False).splits for seed in range(5)]
    assert anew == [divide(dataset, seed).splits for seed in range(5)]


def test_a_class_that_is_all_held_out_is_named() -> None:
    held = tuple(example(i, f"take {i + 90}", label="stop", split="eval") for i in range(4))
    division = divide(Dataset(Path("x"), (*held, *takes({"yes": 10}).examples)))
    assert division.shortages == ("stop: 4 takes, so there is none for train; record 1 more of it",)


def test_a_person_with_all_classes_counts_for_each() -> None:
    people = tuple(example(i, f"person {i // 2}", label=("yes", "no")[i % 2]) for i in range(20))
    division = divide(Dataset(Path("x"), people))
    assert {label: [s[split].groups for split in ALL] for label, s in division.shares.items()} == {
        "yes": [6, 2, 2],
        "no": [6, 2, 2],
    }


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans()), max_size=60),
    st.integers(0, 9),
)
def test_groups_stay_whole_and_every_class_keeps_two_fifths(
    given_examples: list[tuple[str, int, bool]], seed: int
) -> None:
    found = tuple(
        example(i, *[f"g{group}"] * grouped, label=label)
        for i, (label, group, grouped) in enumerate(given_examples)
    )
    division = divide(Dataset(Path("x"), found), seed)
    assert division.splits.keys() == {e.id for e in found}
    by_group = {(e.group, division.splits[e.id]) for e in found if e.group}
    assert len(by_group) == len({group for group, _ in by_group})
    total = Counter(e.labels[0] for e in found)
    kept = Counter(e.labels[0] for e in found if division.splits[e.id] == "train")
    assert all(kept[label] >= 0.4 * n for label, n in total.items())
