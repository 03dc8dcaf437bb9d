"""Measures against what they estimate: known probabilities, drawn again and again."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_runtime.auditing.intervals import combined, wilson
from sensemble_runtime.auditing.measures import Measures, measure
from sensemble_runtime.scores import Estimate, SubsetScore
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
    assert found.chance == dict.fromkeys(SETS, 0.5)
    assert found.at_chance == SETS
    assert found.unscored == ()


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


def test_all_right_is_not_certain() -> None:
    found = measured(np.ones((3, 13), bool))
    assert (found.mean.low, found.least.low) == pytest.approx((wilson(13, 13)[0],) * 2)
    assert found.drops["audio"].value == 0
    assert found.drops["audio"].high > 0.1


def test_a_difference_of_proportions_is_newcombes() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 2635: 36 pairs right twice, 12 and 2 once, none never.
    first, second = np.repeat([1, 1, 0, 0], [36, 12, 2, 0]), np.repeat([1, 0, 1, 0], [36, 12, 2, 0])
    scores = [SubsetScore(x.mean(), 50, *wilson(x.sum(), 50)) for x in (first, second)]
    found = combined(scores, (1.0, -1.0), [first - first.mean(), second - second.mean()])
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0569, 0.3404), abs=1e-4)


def test_a_drop_is_of_the_examples_that_have_both_sensors() -> None:
    present = {"audio": np.ones(40, bool), "video": np.arange(40) < 20}
    labels = np.zeros(40, int)
    predictions = np.zeros((3, 40, 2))
    predictions[..., 0] = 1
    predictions[0, 20:] = [0, 1]  # sound is wrong where there is nothing else
    found = measure(predictions, present, labels, "multi-class", np.arange(40))
    assert found is not None
    assert found.subsets["audio"].accuracy == 0.5
    assert found.drops["video"].value == 0, "both are right in all that have both"
    assert found.drops["video"].high < 0.2


def test_a_drop_is_surer_the_more_alike_the_answers_are() -> None:
    right = np.arange(100) < 60
    alike, unlike = np.stack([right] * 3), np.stack([right, right, right[::-1]])
    alike[0, 0] = False
    one, other = (measured(correct).drops["video"] for correct in (alike, unlike))
    assert one.high - one.low < (other.high - other.low) / 4


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
