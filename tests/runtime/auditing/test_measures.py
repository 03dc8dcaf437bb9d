"""Measures against what they estimate: known probabilities, drawn again and again."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sensemble_runtime.auditing import gate
from sensemble_runtime.auditing.intervals import difference
from sensemble_runtime.auditing.measures import Measures, measure
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.scores import Estimate
from sensemble_runtime.subsets import subsets
from sklearn.dummy import DummyClassifier

SETS = ("audio", "video", "audio+video")
RIGHT = np.array([0.5, 0.7, 0.8])  # of each set


def measured(correct: NDArray[np.bool_], groups: NDArray[np.integer] | None = None) -> Measures:
    """Return the measures of answers that are right as `correct` [3, N] says, to examples of two classes."""
    n = correct.shape[1]
    labels = np.arange(n) % 2
    predictions = np.zeros((3, n, 2))
    answers = np.where(correct, labels, 1 - labels)
    predictions[np.arange(3)[:, None], np.arange(n), answers] = 1
    present = {m: np.ones(n, bool) for m in ("audio", "video")}
    found = measure(predictions, present, labels, "multi-class", np.arange(n) if groups is None else groups)
    assert found is not None
    return found


def test_the_numbers_themselves() -> None:
    correct = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], bool)
    found = measured(correct)
    assert [found.subsets[name].accuracy for name in SETS] == [0.5, 0.25, 0.75]
    assert (found.p, found.r, found.worst) == (0.5, 0.25, "video")
    assert {m: drop.value for m, drop in found.drops.items()} == {"audio": 0.5, "video": 0.25}
    assert {m: gain["audio" if m == "video" else "video"].value for m, gain in found.gains.items()} == {
        "audio": 0.5,
        "video": 0.25,
    }
    assert found.chance == dict.fromkeys(SETS, 0.5)
    assert found.at_chance == SETS
    assert found.unscored == ()


def test_a_device_is_lost_as_a_whole() -> None:
    names, n = ("phone.acc", "watch.acc", "watch.gyr"), 8
    sets = subsets(names)
    right = {("phone.acc",): 5, names: 7}
    labels = np.arange(n) % 2
    guesses = np.stack([np.where(np.arange(n) < right.get(one, 6), labels, 1 - labels) for one in sets])
    present = {m: np.ones(n, bool) for m in names}
    devices = {"watch": ("watch.acc", "watch.gyr")}
    found = measure(np.eye(2)[guesses], present, labels, "multi-class", np.arange(n), devices=devices)
    assert found is not None
    assert {lost: drop.value for lost, drop in found.drops.items()} == {
        **dict.fromkeys(names, 1 / 8),
        "watch": 2 / 8,
    }
    assert found.estimates["drop.watch"].low <= 2 / 8 <= found.estimates["drop.watch"].high
    (allowed,) = gate.judge(gate.parse("drop.watch<=0.9", names, devices=devices), found)
    assert (allowed.verdict, allowed.estimate) == ("met", found.drops["watch"])


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    held = np.zeros(4)
    for _ in range(400):
        # What makes an example hard for one sensor makes it hard for both together.
        hardness = random.random(150)
        shared = random.random((3, 150)) < 0.5
        found = measured(np.where(shared, hardness, random.random((3, 150))) < RIGHT[:, None])
        truths = (RIGHT.mean(), RIGHT.min(), RIGHT[2] - RIGHT[1], RIGHT[2] - RIGHT[0])
        ranges = (found.mean, found.least, found.drops["audio"], found.drops["video"])
        held += [one.low <= truth <= one.high for one, truth in zip(ranges, truths, strict=True)]
    assert (held / 400 > 0.92).all()
    assert (held[[0, 2, 3]] / 400 < 0.99).all(), "far wider than needed"


def test_groups_widen_them() -> None:
    random = np.random.default_rng(0)
    of_group = random.random((3, 30)) < RIGHT[:, None]
    correct, groups = np.repeat(of_group, 10, axis=1), np.repeat(np.arange(30), 10)
    one, other = measured(correct), measured(correct, groups)
    for few, many in (
        (other.mean, one.mean),
        (other.least, one.least),
        (other.drops["audio"], one.drops["audio"]),
    ):
        assert few.value == many.value
        assert few.high - few.low > 2 * (many.high - many.low)


def pairs(*counts: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """So many pairs that are right twice, in the first alone, in the second alone, and never."""
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize("counts", [(36, 12, 2, 0), (90, 6, 1, 3), (40, 0, 7, 3)])
def test_a_difference_ends_where_its_score_is_significant(counts: tuple[int, ...]) -> None:
    """Tango (1998): the likeliest shares with a difference are found here by search."""
    _, gained, lost, _ = counts
    n = sum(counts)
    found = difference(*pairs(*counts), np.arange(n))
    assert found.value == pytest.approx((gained - lost) / n)
    for end, side in ((found.low, 1.96), (found.high, -1.96)):

        def unlikely(q: float, end: float = end) -> float:
            shares = np.maximum([q + end, q, 1 - 2 * q - end], 1e-300)
            return -float(np.array([gained, lost, n - gained - lost]) @ np.log(shares))

        bounds = max(0.0, -end), (1 - end) / 2
        q = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x
        variance = (2 * q + end - end**2) / n
        assert (found.value - end) / variance**0.5 == pytest.approx(side, abs=1e-3)


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_a_drop_is_of_the_examples_that_have_both_sensors(task: Task) -> None:
    present = {"audio": np.ones(40, bool), "video": np.arange(40) < 20}
    labels, classes = np.arange(40) % 2, np.eye(2, dtype=int)
    predictions = np.tile(classes[labels].astype(float), (3, 1, 1))
    predictions[0, 20:] = 1 - predictions[0, 20:]  # sound is wrong where there is nothing else
    truth = labels if task == "multi-class" else classes[labels]
    found = measure(predictions, present, truth, task, np.arange(40))
    assert found is not None
    assert found.subsets["audio"].accuracy < 0.6
    assert found.drops["video"].value == 0, "both are right in all that have both"
    assert found.drops["video"].high < 0.2


def test_a_set_that_no_example_has_is_unscored_and_nothing_drops_from_it() -> None:
    present = {"audio": np.array([True, True, False]), "video": np.array([False, False, True])}
    labels = np.array([0, 0, 1])
    found = measure(np.full((3, 3, 2), 0.5), present, labels, "multi-class", np.arange(3))
    assert found is not None
    assert (list(found.subsets), found.unscored, found.drops) == (["audio", "video"], ("audio+video",), {})
    nobody = {m: np.zeros(3, bool) for m in present}
    assert measure(np.full((3, 3, 2), 0.5), nobody, labels, "multi-class", np.arange(3)) is None


def test_chance_is_that_of_sklearns_dummy() -> None:
    random = np.random.default_rng(0)
    labels = random.choice(4, 50, p=[0.1, 0.2, 0.3, 0.4])
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((50, 1)), labels)
    present = {"audio": np.ones(50, bool)}
    found = measure(random.random((1, 50, 4)), present, labels, "multi-class", np.arange(50))
    assert found is not None
    assert found.chance["audio"] == pytest.approx(dummy.score(np.zeros((50, 1)), labels))
    tags = random.random((50, 3)) < [0.1, 0.5, 0.9]
    found = measure(random.random((1, 50, 3)), present, tags, "multi-label", np.arange(50))
    assert found is not None
    assert found.chance["audio"] == pytest.approx(tags.mean(), abs=1e-9), "a ranking that knows nothing"


def test_multi_label_has_all_of_them_too() -> None:
    random = np.random.default_rng(0)
    tags = random.random((80, 3)) < 0.4
    signal = np.array([0.1, 1.5, 1.6])[:, None, None] * tags + random.normal(size=(3, 80, 3))
    present = {m: np.ones(80, bool) for m in ("audio", "video")}
    found = measure(signal, present, tags, "multi-label", np.arange(80))
    assert found is not None
    ranges: list[Estimate] = [found.mean, found.least, *found.drops.values()]
    assert all(one.low < one.value < one.high for one in ranges)
    assert found.at_chance == ("audio",)
    assert found.drops["video"].low > 0 > found.drops["audio"].low
