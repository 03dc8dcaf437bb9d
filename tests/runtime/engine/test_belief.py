"""The belief: one definition of an answer, for a session, an audit and every page; and who lies."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime.auditing.answers import SimulatedSessions, plain
from sensemble_runtime.bundle.head import KNOWN, doubted
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.answer import DOUBTS, against_none, answer, opinion
from sensemble_runtime.engine.belief import (
    MARGIN,
    RARE,
    SCENE,
    STRANGE,
    Belief,
    fuse,
    whole,
)
from sensemble_runtime.subsets import Subset, subsets

from tests.runtime.answering import LABELS, SENSORS, answered, classifier, window

CLASSES = 10

Scenes = list[dict[str, int]]


def sees(label: int, confidence: float = 0.8, classes: int = CLASSES) -> np.ndarray:
    found = np.full(classes, (1 - confidence) / (classes - 1))
    found[label] = confidence
    return found


def drawn(random: np.random.Generator, n: int, examples: int = 1, classes: int = 4) -> np.ndarray:
    """Return opinions [n, N, C], from vague to certain."""
    sharpness = random.choice([0.05, 0.5, 2.0], size=(n, examples, 1))
    weights = random.gamma(sharpness, size=(n, examples, classes)) + 1e-12
    return weights / weights.sum(axis=-1, keepdims=True)


def test_an_answer_is_sure_from_the_threshold_on_and_names_what_else_comes_into_question() -> None:
    sure, _ = answered(classifier(), {"audio": window(0, 5)})
    assert (sure.label, sure.doubt, sure.candidates) == ("one", None, ("one",))
    close = window(0, 2)
    close[2] = 1.9
    unsure, _ = answered(classifier(), {"audio": close})
    assert (unsure.label, unsure.best, unsure.doubt) == (None, "one", "several")
    assert unsure.candidates[:2] == ("one", "two")
    assert answered(classifier(threshold=0.4), {"audio": close})[0].label == "one"
    for clue in np.linspace(1, 3, 20):
        both = {"audio": close, "video": window(0, clue)}
        stated = answered(classifier(), both)[0].confidence
        assert answered(classifier(threshold=stated), both)[0].sure, "as it states its confidence"


def test_sensors_that_contradict_each_other_are_unsure_and_one_that_leaves_all_open_contradicts_nobody() -> (
    None
):
    fused, alone = answered(classifier(), {"audio": window(0, 9), "video": window(1, 9)})
    assert [one.label for one in alone.values()] == ["one", "two"]
    assert (fused.label, fused.doubt) == (None, "disagreement")
    assert {*fused.candidates} == {"one", "two"}
    vague, _ = answered(classifier(), {"audio": window(0, 9), "video": window(1, 0.1)})
    assert vague.label == "one"


def test_no_evidence_is_a_confidence_of_one_over_the_classes() -> None:
    strange = {"audio": window(0, 9, known=-5), "video": window(0, 9, known=-5)}
    fused, alone = answered(classifier(familiar=-2.0), strange)
    for one in (fused, *alone.values()):
        assert (one.label, one.best, one.doubt, one.confidence) == (None, None, "unfamiliar", 0.25)
        assert not one.probabilities.flags.writeable
        assert one.candidates == LABELS


def test_without_redundancy_it_is_the_product_of_bayes_and_with_all_of_it_the_mean() -> None:
    """Against the posterior written out, and Eq. 7 on calibrated logits, but for 2 % lies and 1 % noise."""
    opinions = drawn(np.random.default_rng(0), 2, 200)
    several = fuse(opinions, np.full((2, 1), 1e-9), 0.0, "multi-class")
    product = (0.99 * opinions + 0.0025).prod(axis=0)
    whole = product / product.sum(axis=1, keepdims=True)
    lone = opinions.max(axis=-1).max(axis=0) > whole.max(axis=1)  # the surest, where the other agrees
    np.testing.assert_allclose(several[~lone], whole[~lone], atol=1e-6)
    pooled = np.exp(np.log(opinions).mean(axis=0))
    pooled /= pooled.sum(axis=1, keepdims=True)
    alike = fuse(opinions, np.full((2, 1), 1e-9), 1.0, "multi-class")
    clear = np.sort(pooled, axis=1)[:, -1] > 0.6
    assert (alike.argmax(axis=1) == pooled.argmax(axis=1))[clear].all()


def test_the_prior_of_unequal_classes_counts_once_however_many_sensors_are_live() -> None:
    """Three sensors that know nothing but the shares, and three whose evidence is for a rare class."""
    prior = np.array([0.7, 0.2, 0.1])
    nothing = np.tile(prior, (3, 1, 1))
    lies = np.full((3, 1), 1e-9)
    np.testing.assert_allclose(fuse(nothing, lies, 0.0, "multi-class", prior)[0], prior, atol=1e-6)
    assert fuse(nothing, lies, 0.0, "multi-class")[0, 0] > 0.9
    shares = prior * [1, 1, 4]  # its odds against the commonest class are 4 to 7 for each, 64 to 7 for all
    opinions = np.tile(shares / shares.sum(), (3, 1, 1))
    assert fuse(opinions, lies, 0.0, "multi-class", prior)[0].argmax() == 2
    assert fuse(opinions, lies, 0.0, "multi-class")[0].argmax() == 0
    alike = np.full(4, 0.25)
    drawn_at_random = drawn(np.random.default_rng(0), 3, 50)
    np.testing.assert_allclose(
        fuse(drawn_at_random, np.full((3, 1), RARE), 0.4, "multi-class", alike),
        fuse(drawn_at_random, np.full((3, 1), RARE), 0.4, "multi-class"),
    )


Turned = dict[tuple[int, ...], np.ndarray]


def carried(random: np.random.Generator, n: int) -> tuple[Turned, Turned]:
    """Return devices that carry n sensors, and the same without the last sensor."""
    owners = random.integers(0, 3, size=n)
    chances = random.choice([RARE, 0.3, 0.9], size=(3, 1))
    found: list[Turned] = []
    for most in (n, n - 1):
        rows = {k: tuple(np.flatnonzero(owners[:most] == k).tolist()) for k in range(1, 3)}  # 0: no device
        found.append({own: chances[k] for k, own in rows.items() if own})
    return found[0], found[1]


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_a_sensor_that_agrees_never_makes_an_answer_less_sure(seed: int, n: int, redundancy: float) -> None:
    random = np.random.default_rng(seed)
    opinions, lies = drawn(random, n + 1, 40), random.choice([RARE, 0.3, 0.9], size=(n + 1, 1))
    more, fewer = carried(random, n + 1) if seed % 2 else ({}, {})
    before = fuse(opinions[:-1], lies[:-1], redundancy, "multi-class", None, fewer)
    after = fuse(opinions, lies, redundancy, "multi-class", None, more)
    agrees = opinions[-1].argmax(axis=-1) == before.argmax(axis=-1)
    assert (after.max(axis=-1) >= before.max(axis=-1) - 1e-12)[agrees].all()
    np.testing.assert_allclose(after.sum(axis=-1), 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from(["multi-class", "multi-label"]))
def test_devices_of_one_sensor_change_nothing_and_the_order_of_sensors_does_not_matter(
    seed: int, n: int, task: Task
) -> None:
    random = np.random.default_rng(seed)
    opinions, lies = drawn(random, n, 20), random.choice([RARE, 0.3, 0.9], size=(n, 1))
    apart = {(row,): np.array([RARE]) for row in range(n)}
    np.testing.assert_array_equal(
        fuse(opinions, lies, 0.4, task), fuse(opinions, lies, 0.4, task, None, apart)
    )
    turned, _ = carried(random, n)
    order = random.permutation(n)
    there = {tuple(order.tolist().index(row) for row in rows): p for rows, p in turned.items()}
    shuffled = fuse(opinions[order], lies[order], 0.4, task, None, there)
    np.testing.assert_allclose(shuffled, fuse(opinions, lies, 0.4, task, None, turned), atol=1e-9)


def test_opinions_of_zero_and_one_and_many_sensors_of_a_device_stay_finite() -> None:
    certain = np.eye(2)[[0, 0, 1]][:, np.newaxis]
    for task, chance in product(("multi-class", "multi-label"), (0.0, RARE, 1.0)):
        fused = fuse(certain, np.full((3, 1), RARE), 0.0, task, None, {(0, 1): np.array([chance])})
        assert np.isfinite(fused).all()
    crowd = {tuple(range(120)): np.array([RARE])}
    many = np.tile(sees(3, 0.999, 1000), (121, 1, 1))
    with np.errstate(over="raise", invalid="raise"):
        assert fuse(many, np.full((121, 1), RARE), 0.0, "multi-class", None, crowd)[0].argmax() == 3


WEBCAM = {"audio": "webcam", "video": "webcam"}


@pytest.mark.parametrize("clue", [6.0, 9.0])
def test_two_sensors_of_one_device_that_turn_to_another_scene_are_one_witness(clue: float) -> None:
    turned = {"audio": window(1, clue), "text": window(0, 9), "video": window(1, clue)}
    before, _ = answered(classifier(redundancy=0.1), turned)
    assert before.label == "two", "as two witnesses, they outvote the third"
    for redundancy in (0.1, 0.4):
        found, _ = answered(classifier(redundancy=redundancy, devices=WEBCAM), turned)
        assert (found.label, found.doubt) == (None, "disagreement")
    agreed = {m: window(0, clue) for m in SENSORS}
    assert answered(classifier(redundancy=0.1, devices=WEBCAM), agreed)[0].label == "one"


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_labels_that_do_not_exclude_each_other_are_each_true_or_not(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    opinions = random.uniform(0.01, 0.99, (n, 5, 6))
    lies = np.full((n, 1), RARE)
    whole = fuse(opinions, lies, 0.5, "multi-label")
    assert ((whole > 0) & (whole < 1)).all()
    for label in range(6):
        np.testing.assert_allclose(
            fuse(opinions[..., [label]], lies, 0.5, "multi-label")[:, 0], whole[:, label]
        )
    ignorant = np.full((n, 5, 6), 0.5)
    np.testing.assert_allclose(fuse(ignorant, lies, 0.0, "multi-label"), 0.5)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["multi-class", "multi-label"]),
)
@settings(max_examples=40)
def test_an_audit_and_a_session_give_the_same_answers(
    seed: int, threshold: float, redundancy: float, task: Task
) -> None:
    random = np.random.default_rng(seed)
    devices = {"audio": "phone", "video": "phone"} if seed % 2 else {}
    known = classifier(threshold, redundancy, task, familiar=-0.5, near=-2, devices=devices)
    embeddings = 2 * random.normal(size=(3, 20, 5)).astype(np.float32)
    rows = dict(zip(SENSORS, embeddings, strict=True))
    present = {m: random.uniform(size=20) < 0.8 for m in SENSORS}
    evidence = {m: known.evidence(m, rows[m]) for m in SENSORS}
    given = SimulatedSessions(subsets(SENSORS), known).answers(evidence, present)
    alone = plain(evidence, subsets(SENSORS), redundancy, task)
    for subset, found in given.items():
        belief = Belief(subset, devices)
        for i in range(20):
            shown = {m: evidence[m].take(np.array([i])) for m in subset if present[m][i]}
            if not shown:
                assert DOUBTS[found.doubts[i]] == "unfamiliar"
                continue
            lies = belief.lies if task == "multi-class" and len(subset) > 1 else {}
            expected = opinion(known, shown, tuple(shown), lies)
            usable = {m: one for m, one in shown.items() if one.usable(np.ones(1, bool))[0]}
            belief.note({m: one.opinions("multi-class")[0] for m, one in usable.items()}, i * SCENE)
            np.testing.assert_array_equal(found.probabilities[i], expected.probabilities)
            assert DOUBTS[found.doubts[i]] == expected.doubt
        every = {m: replace(x.take(np.array([0])), familiar=None) for m, x in evidence.items()}
        first = opinion(known, every, subset)
        np.testing.assert_allclose(alone[subset][0], first.probabilities, atol=1e-6)


def suspects(scenes: Scenes, every: float = SCENE, sensors: tuple[str, ...] = SENSORS) -> list[Subset]:
    """Return who is suspected in each of some scenes, by the class that each sensor sees."""
    belief = Belief(sensors)
    return [
        belief.note({m: sees(label) for m, label in seen.items()}, i * every) for i, seen in enumerate(scenes)
    ]


def lying(liar: str, scenes: int, sensors: tuple[str, ...] = SENSORS) -> Scenes:
    found = [dict.fromkeys(sensors, i % CLASSES) for i in range(scenes)]
    return [seen | {liar: (seen[liar] + 3) % CLASSES} for seen in found]


def test_who_lies_is_learned_by_bayes_rule_from_a_scene_that_is_over() -> None:
    """Against the sum over all who may lie, and over the classes."""
    shown, belief = (
        {"audio": sees(1, 0.6), "text": sees(1, 0.5), "video": sees(7, 0.7)},
        Belief(SENSORS),
    )
    belief.note(shown, 0.0)
    belief.note({m: sees(2) for m in SENSORS}, SCENE)
    lying, total = np.zeros(3), 0.0
    for lies in product([False, True], repeat=3):
        chances = [
            np.full(CLASSES, RARE) if lie else (1 - RARE) * (0.99 * CLASSES * shares + 0.01)
            for lie, shares in zip(lies, shown.values(), strict=True)
        ]
        weight = np.prod(chances, axis=0).sum()
        lying, total = lying + weight * np.array(lies), total + weight
    expected = (1 - RARE) * lying / total + RARE * RARE
    assert list(belief.lies.values()) == pytest.approx(expected.tolist())


@pytest.mark.parametrize("liar", SENSORS)
def test_a_sensor_that_lies_is_found_within_a_few_scenes_and_trusted_again(liar: str) -> None:
    honest = lying(liar, 12)
    for seen in honest[4:]:
        seen[liar] = next(label for m, label in seen.items() if m != liar)
    found = suspects(honest)
    assert found[2:4] == [(liar,), (liar,)]
    assert found[-2:] == [(), ()]
    assert {*found} == {(), (liar,)}


def test_a_liar_is_found_among_a_thousand_classes_and_many_sensors() -> None:
    belief, many = Belief(SENSORS), tuple(f"s{i:02}" for i in range(40))
    found = [
        belief.note({m: sees(label, 0.8, 1000) for m, label in seen.items()}, i * SCENE)
        for i, seen in enumerate(lying("video", 5))
    ]
    assert found[2:] == [("video",)] * 3
    assert suspects(lying("s07", 5, many), sensors=many)[2:] == [("s07",)] * 3
    crowd = Belief(f"s{i:03}" for i in range(120))
    with np.errstate(over="raise"):
        assert crowd.note(dict.fromkeys(crowd.lies, sees(3, 0.99, 1000)), 0.0) == ()


def test_what_a_liar_says_hardly_counts_and_two_that_contradict_each_other_are_both_doubted() -> None:
    three, two = Belief(SENSORS), Belief(("audio", "video"))
    for i, seen in enumerate(lying("video", 12)):
        three.note({m: sees(label) for m, label in seen.items()}, i * SCENE)
        pair = {m: sees(label) for m, label in seen.items() if m != "text"}
        assert two.note(pair, i * SCENE) == (), "either may lie"
    assert three.lies["video"] > 0.9
    assert max(three.lies["audio"], three.lies["text"]) < RARE
    assert min(two.lies.values()) > 0.5


def test_that_a_device_lies_is_learned_by_bayes_rule() -> None:
    """Against the sum over all who may lie, and over the classes that each device and each liar shows."""
    shown = {"audio": sees(1, 0.6), "text": sees(7, 0.5), "video": sees(1, 0.7)}
    belief = Belief(SENSORS, WEBCAM)
    belief.note(shown, 0.0)
    belief.note({m: sees(2) for m in SENSORS}, SCENE)
    likelihoods = {m: 0.99 * CLASSES * p + 0.01 for m, p in shown.items()}
    lying, total = np.zeros(4), 0.0
    for lies in product([False, True], repeat=4):
        chance = np.prod([RARE if lie else 1 - RARE for lie in lies])
        heard = [
            np.ones(CLASSES) if lie else one for lie, one in zip(lies, likelihoods.values(), strict=False)
        ]
        both = heard[0] * heard[2]
        weight = chance * (heard[1] * (both.mean() if lies[3] else both)).mean()
        lying, total = lying + weight * np.array(lies), total + weight
    expected = (1 - RARE) * lying / total + RARE * RARE
    assert [*belief.lies] == [*SENSORS, whole("webcam")]
    assert list(belief.lies.values()) == pytest.approx(expected.tolist())


def turning(sensors: tuple[str, ...], scenes: int) -> list[Subset]:
    """Return the suspects while a webcam is turned away from what the other sensors show."""
    belief = Belief(sensors, WEBCAM)
    seen = [{m: sees((i + 3 * (m in WEBCAM)) % CLASSES) for m in sensors} for i in range(scenes)]
    found = [belief.note(shown, i * SCENE) for i, shown in enumerate(seen)]
    known = classifier(redundancy=0.1, devices=WEBCAM)
    if sensors == SENSORS:
        shown = {m: window(int(m in WEBCAM), 9) for m in sensors}
        assert answered(known, shown, belief.lies)[0].label is None
    return found


def test_a_device_against_one_sensor_is_no_suspect_nor_is_the_sensor_and_against_two_it_is() -> None:
    assert {*turning(SENSORS, 20)} == {()}
    found = turning(("audio", "depth", "text", "video"), 12)
    assert found[2:] == [("audio", "video")] * 10


def test_a_sensor_that_lies_beside_another_of_its_device_is_the_suspect_alone() -> None:
    belief = Belief(SENSORS, WEBCAM)
    for i, seen in enumerate(lying("video", 8)):
        found = belief.note({m: sees(label) for m, label in seen.items()}, i * SCENE)
    assert found == ("video",)
    assert belief.lies["video"] > 0.9
    assert belief.lies[whole("webcam")] < 2 * RARE


def test_a_device_that_lies_is_known_while_one_of_its_sensors_is_there() -> None:
    sensors = ("audio", "depth", "text", "video")
    belief = Belief(sensors, WEBCAM)
    for i in range(6):
        belief.note({m: sees((i + 3 * (m in WEBCAM)) % CLASSES) for m in sensors}, i * SCENE)
    assert belief.lies[whole("webcam")] > 0.9
    belief.forget("audio")
    left = {"depth": sees(6), "text": sees(6), "video": sees(9)}
    assert belief.note(left, 6 * SCENE) == ("video",)
    belief.forget("video")
    assert belief.lies[whole("webcam")] == RARE


def test_who_lies_remains_known_when_a_witness_leaves() -> None:
    scenes = lying("audio", 9)
    for seen in scenes[6:]:
        del seen["text"]
    assert suspects(scenes)[-1] == ("audio",)


def test_windows_of_one_scene_count_once() -> None:
    """A hand that covers a digit misleads the camera for as long as it stays."""
    weak = {"audio": sees(1, 0.4), "text": sees(1, 0.4), "video": sees(7)}
    still, moving = Belief(SENSORS), Belief(SENSORS)
    turned = [{m: np.roll(p, i) for m, p in weak.items()} for i in range(20)]
    assert {still.note(weak, i * SCENE) for i in range(20)} == {()}
    for i in range(20, 40):  # captions that come and go are no other scene
        assert still.note({m: p for m, p in weak.items() if m != "text" or i % 2}, i * SCENE) == ()
    assert {*still.lies.values()} == {RARE}
    assert [moving.note(seen, i * SCENE) for i, seen in enumerate(turned)][-1] == ("video",)
    hasty = Belief(SENSORS)
    assert {hasty.note(seen, i * SCENE / 100) for i, seen in enumerate(turned)} == {()}


def test_a_sensor_that_lags_behind_is_not_suspected() -> None:
    """A caption comes later than the picture, in each scene."""
    scenes = []
    for i in range(30):
        scenes += [{"audio": i % 10, "text": (i - 1) % 10, "video": i % 10}, dict.fromkeys(SENSORS, i % 10)]
    assert {*suspects(scenes, SCENE / 2)[2:]} == {()}


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_the_names_of_sensors_do_not_matter(seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    given = draw.dirichlet(np.full(CLASSES, 0.3), (12, n))
    given[:, 1:] = 0.7 * np.eye(CLASSES)[draw.integers(CLASSES, size=12)][:, None] + 0.3 * given[:, 1:]
    for order in list(permutations(range(n)))[:: 1 + n]:
        found = []
        for names in (range(n), order):
            belief = Belief("abcde"[:n])
            seen = [
                belief.note(dict(zip(("abcde"[k] for k in names), row, strict=True)), i * SCENE)
                for i, row in enumerate(given)
            ]
            back = {"abcde"[k]: place for place, k in enumerate(names)}
            found.append([[back[one] for one in some] for some in seen])
        assert found[0] == found[1]


def test_a_scene_that_all_sensors_find_strange_is_less_sure_than_by_any_of_them() -> None:
    known = classifier(familiar=-2.5)
    each = {m: window(0, 5, known=-2.0) for m in SENSORS}
    alone = [answered(known, {m: each[m]})[0].confidence for m in SENSORS]
    assert answered(known, each)[0].confidence < min(alone)
    sure = {m: window(0, 5, known=2.0) for m in SENSORS}
    assert answered(known, sure)[0].confidence > answered(known, {"audio": sure["audio"]})[0].confidence


def test_an_audit_has_the_doubt_of_a_session_where_a_doubted_opinion_leaves_two_classes_alike() -> None:
    known = classifier(familiar=-50.0)
    rows = {"audio": window(1, 1e-6, known=-20.0), "video": window(1, 5, known=-20.0)}
    evidence = {m: known.evidence(m, x[np.newaxis]) for m, x in rows.items()}
    there = dict.fromkeys(rows, np.ones(1, bool))
    given = answer(evidence, there, ("audio", "video"), 0.4, "multi-class", known.threshold)
    assert DOUBTS[given.doubts[0]] == answered(known, rows)[0].doubt


@pytest.mark.parametrize("known", [-5.0, -20.0])
def test_sensors_that_find_a_scene_likelier_unknown_do_not_vouch_for_it_however_low_the_limit(
    known: float,
) -> None:
    strange = {m: window(0, 5, known=known) for m in SENSORS}
    assert answered(classifier(familiar=-50.0), strange)[0].confidence < 0.75


def test_unfamiliar_windows_name_the_likeliest_class_never_surely_unless_likelier_unknown() -> None:
    known = classifier(familiar=2.0)
    shown = {"audio": window(2, 9, known=1.0), "video": window(2, 9, known=-1.0)}
    for some in (("audio",), ("video",), ("audio", "video")):
        guess, _ = answered(known, {m: shown[m] for m in some})
        assert (guess.best, guess.label, guess.doubt) == ("three", None, "unfamiliar")
    nothing = window(1, 20, known=-KNOWN - 0.1)
    found, alone = answered(known, shown | {"text": nothing})
    assert (found.best, alone["text"].best) == ("three", None), "what is likelier unknown has no opinion"
    assert set(alone["text"].probabilities.tolist()) == {0.25}
    for m, x in shown.items():
        assert np.ptp(against_none(known.evidence(m, x[np.newaxis]))) == 0, "no moment begins by it"
    familiar, _ = answered(known, shown | {"text": window(0, 9, known=5.0)})
    assert familiar.best == "one", "a guess is of nothing beside a familiar sensor"


@pytest.mark.parametrize(("limit", "expected"), [(-1.0, 2 - MARGIN - STRANGE), (-9.0, 1 + KNOWN - STRANGE)])
def test_an_unfamiliar_sensor_says_nothing_and_only_takes_from_an_answer(
    limit: float, expected: float
) -> None:
    known = classifier(familiar=limit)
    familiar = {"audio": window(0, 5, known=1.0)}
    both = familiar | {"video": window(1, 20, known=-100.0)}
    found = answered(known, both)[0].probabilities
    evidence = known.evidence("audio", familiar["audio"])
    np.testing.assert_allclose(
        found, doubted(evidence.classes, np.float32(expected), "multi-class"), atol=1e-6
    )


@pytest.mark.parametrize(
    ("shown", "near", "far"), [(window(0, 9, -5), 0, True), (window(0, 0.1, 1), -5, False)]
)
def test_a_broken_sensor_says_nothing_of_the_scene_and_one_that_sees_what_is_new_speaks_against_it(
    shown: np.ndarray, near: float, *, far: bool
) -> None:
    known = classifier(familiar=-2.0, near=near)
    assert not known.are_familiar("video", shown)
    assert known.are_far("video", shown) == far
    assert not classifier(familiar=-2.0).are_far("video", shown), "without means, nothing tells"
    rows = {"audio": window(0, 9)[np.newaxis], "video": shown[np.newaxis]}
    evidence = {m: known.evidence(m, x) for m, x in rows.items()}
    there = dict.fromkeys(rows, np.ones(1, bool))
    sets = ("audio",), ("audio", "video")
    alone, both = (answer(evidence, there, s, 0.4, "multi-class", 0.9).probabilities.max() for s in sets)
    assert both == alone if far else both < alone


@pytest.mark.parametrize(
    ("devices", "together"),
    [({}, False), ({"text": "watch", "video": "watch"}, True), ({"text": "video"}, False)],
)
def test_two_broken_sensors_speak_against_a_known_scene_unless_their_device_broke(
    devices: dict[str, str], together: bool
) -> None:
    known = classifier(familiar=-2.0, near=0, devices=devices)
    rows = {"audio": window(0, 9), "text": window(0, 9, -5), "video": window(0, 9, -5)}
    evidence = {m: known.evidence(m, x[np.newaxis]) for m, x in rows.items()}
    there = dict.fromkeys(rows, np.ones(1, bool))
    sets = ("audio",), ("audio", "text"), ("audio", "video"), SENSORS
    alone, one, other, both = (
        answer(evidence, there, s, 0.4, "multi-class", 0.9).probabilities.max() for s in sets
    )
    assert one == other == alone
    assert both == alone if together else both < alone


def test_a_window_unlike_known_ones_is_less_sure_unless_a_correction_moved_it() -> None:
    known = classifier(familiar=-9.0)
    strange = {"audio": window(0, 5, known=-5.0)}
    less, _ = answered(known, strange)
    corrected, _ = answered(known, strange, corrected=["audio"])
    alike, _ = answered(known, {"audio": window(0, 5, known=20.0)})
    assert (less.best, less.doubt, corrected.doubt) == ("one", "several", None)
    np.testing.assert_allclose(corrected.probabilities, alike.probabilities, atol=1e-6)
