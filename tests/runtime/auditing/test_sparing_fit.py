"""Sparing in virtual time: the schedule of examples, the fit, and the audit beside rivals."""

from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.auditing.sparing_audit import SCENE, PrefixAnswers, point, run, schedule
from sensemble_runtime.auditing.sparing_fit import Wishes, fit_sparing, processor_costs
from sensemble_runtime.bundle.classifier import Evidence
from sensemble_runtime.bundle.manifest import Calibration, SparingCalibration
from sensemble_runtime.engine.sparing import prefixes
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 16000), rate=16000, window=1, hop=0.5, ttl=2),
    "text": InputSpec("text", "int64", (1, 16), rate=0, window=0, hop=0, ttl=5),
    "video": InputSpec("video", "uint8", (1, 4, 32, 32, 3), rate=4, window=1, hop=0.5, ttl=2),
}
N, CLASSES = 300, 4
CALIBRATION = Calibration(0.05, 0.9, 0, 0.5, {}, {})


def scenes(count: int = N) -> list[Example]:
    return [Example(f"e{i}", "eval", ("a",), {"audio": Path(f"{i}.wav")}, i) for i in range(count)]


def drawn_evidence(
    doubted: float = 0.2, heard: float = 0.9985, seen: float = 0.9985
) -> tuple[dict[str, Evidence], np.ndarray]:
    """Return evidence in which the microphone is unsure, and often wrong, in a share of the examples.

    Elsewhere it is right with the confidence `heard`; the camera always is, with the confidence `seen`.
    """
    draw = np.random.default_rng(0)
    truth = draw.integers(0, CLASSES, N)
    unsure = draw.uniform(size=N) < doubted
    sharp, seen_classes = (
        np.where(np.eye(CLASSES)[truth] > 0, share, (1 - share) / (CLASSES - 1)) for share in (heard, seen)
    )
    flat = np.full((N, CLASSES), 0.2)
    flat[np.arange(N), draw.integers(0, CLASSES, N)] = 0.4
    sound = np.where(unsure[:, np.newaxis], flat, sharp)
    text = np.full((N, CLASSES), 0.25)
    return {"audio": Evidence(sound), "video": Evidence(seen_classes), "text": Evidence(text)}, truth


def fitted(wishes: Wishes | None = None, **shares: float) -> SparingCalibration | None:
    evidence, truth = drawn_evidence(**shares)
    present = {m: np.full(N, m != "text") for m in SPECS}
    people = np.arange(N) % 30
    plan = schedule(scenes(), SPECS)
    return fit_sparing(evidence, present, truth, people, CALIBRATION, SPECS, plan, wishes or Wishes())


def test_examples_without_a_recording_are_scenes() -> None:
    plan = schedule(scenes(3), SPECS)
    assert not plan.recordings
    assert plan.counts.sum() == 3
    assert list(plan.rows[plan.counts]) == [0, 1, 2]
    assert np.all(np.diff(plan.times) > 0)
    assert plan.times[-1] <= 3 * SCENE


def test_examples_of_a_recording_follow_each_other_as_there() -> None:
    file = {"audio": Path("long.wav")}
    starts = (0.0, 1.0, 0.5, 10.0)
    examples = [Example(f"e{s}", "eval", ("a",), file, 1, s, s + 1) for s in starts]
    plan = schedule(examples, SPECS)
    assert plan.recordings
    assert list(plan.rows) == [0, 2, 1, 3]
    assert plan.times == pytest.approx([1, 1.5, 2, 11])
    assert plan.counts.all()


def test_what_costs_most_sleeps_first_and_captions_never() -> None:
    found = fitted()
    assert found is not None
    assert found.order == (("audio", "text"), ("video",))
    assert found.costs == (2, 10)


def test_a_user_says_what_costs_and_which_comes_last() -> None:
    dear = fitted(Wishes(costs={"audio": 20.0}))
    assert dear is not None
    assert dear.order == (("text", "video"), ("audio",))
    measured = processor_costs(SPECS, {"audio": 8.0, "text": 9.0, "video": 3.0})
    assert measured == pytest.approx(
        {"audio": 0.06 * 8 / SPECS["audio"].hop, "text": 0, "video": 0.06 * 3 / SPECS["video"].hop}
    )
    quick = fitted(Wishes(costs=measured))
    assert quick is not None
    assert quick.order == (("text", "video"), ("audio",))
    for sensor in ("audio", "text"):  # captions cost nothing
        last = fitted(Wishes(last=sensor))
        assert last is not None
        assert last.order[-1] == (sensor,)
    assert fitted(Wishes(costs={"audio": 0.0, "video": 0.0})) is None
    assert fitted(Wishes(costs={"audio": 0.0, "video": 0.0}, last="video")) is None


def test_the_cheapest_policy_keeps_right_answers_and_the_promise() -> None:
    found = fitted()
    assert found is not None
    assert found.on[1] < 0.5
    assert found.right >= found.every_right - 0.005
    assert found.sure_wrong <= found.every_sure_wrong
    assert found.threshold >= CALIBRATION.threshold
    assert found.groups == 30


def test_what_confidences_expect_to_be_wrong_counts_though_no_answer_was() -> None:
    assert fitted(heard=0.96) is None


def test_of_sensors_that_cost_the_same_the_first_is_the_one_that_lets_the_others_sleep() -> None:
    found = fitted(Wishes(costs={"audio": 1.0, "video": 1.0}), seen=0.67)
    assert found is not None
    assert found.order == (("audio", "text"), ("video",))  # alone, the camera is right more often


def test_nothing_is_fitted_where_no_sensor_may_sleep() -> None:
    assert fitted(doubted=1.0) is None


def test_a_woken_sensor_answers_once_its_device_is_open_and_a_window_is_complete() -> None:
    start = fitted()
    assert start is not None
    plan = schedule(scenes(40), SPECS)
    confidences = np.ones((2, 40))
    confidences[0, 20] = 0.1  # one scene of doubt, long after the beginning
    spared = run(start, confidences, plan, SPECS)
    assert spared.wakings[1] == 1
    assert spared.delay == pytest.approx(1.5)  # 0.5 s to open, 1 s of a window
    assert spared.level[20] == 1
    assert spared.level[10] == 0
    assert 0 < spared.on[1] < 0.3


def test_sensors_that_are_never_needed_or_always() -> None:
    evidence, truth = drawn_evidence()
    right = np.stack([evidence[m].classes.argmax(axis=1) == truth for m in ("audio", "video")])
    answers = PrefixAnswers(np.stack([np.full(N, 0.8)] * 2), right)
    start = fitted()
    assert start is not None
    plan = schedule(scenes(), SPECS)
    spent = []
    for confidence in (0.0, 0.3, 1.0):
        shown = np.full((2, N), confidence)
        spared = run(start, shown, plan, SPECS)
        spent.append(point(spared, answers, start.costs, 0.9, start.wake).spent)
    assert spent[2] < spent[1]
    assert spent[1] == pytest.approx(1)
    assert prefixes(start.order) == [("audio", "text"), ("audio", "text", "video")]
