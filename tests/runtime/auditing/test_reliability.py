"""The worth of confidence and candidates, against torchmetrics and one prediction at a time."""

from dataclasses import astuple

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sensemble_runtime.auditing.calibration import calibrate
from sensemble_runtime.auditing.reliability import (
    calibration_error,
    chance_error,
    judge,
    judge_answers,
    reliabilities,
    reliability,
)
from sensemble_runtime.bundle.calibration import least_probability
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.manifest import Calibration, SubsetCalibration, Task
from sensemble_runtime.prediction import Opinion
from sensemble_runtime.record.writer import Answer
from torchmetrics.functional.classification import multiclass_calibration_error

from .test_calibration import CLASSES, drawn


@pytest.mark.parametrize("n", [1, 7, 500])
def test_the_calibration_error_is_that_of_torchmetrics(n: int) -> None:
    logits, truth = drawn(n)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    expected = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(truth), num_classes=CLASSES, n_bins=15, norm="l1"
    )
    confidences, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    assert calibration_error(confidences, right) == pytest.approx(float(expected), abs=1e-6)
    assert calibration_error(np.ones(3), np.ones(3, bool)) == 0


def test_calibration_mends_the_calibration_error_and_keeps_its_promise() -> None:
    (old, truth), (new, answers) = drawn(2000, seed=5), drawn(4000, seed=6)
    (fitted,) = calibrate(old[None], {"audio": np.ones(2000, bool)}, truth, "multi-class").values()
    found = reliability(new, answers, "multi-class", fitted)
    assert found.uncalibrated_error > 0.2
    assert found.calibration_error < 0.03
    assert found.covered == pytest.approx(0.9, abs=0.02)
    accuracy = (new.argmax(axis=1) == answers).mean()
    assert found.confidence == pytest.approx(accuracy, abs=0.03)
    assert found.sure_right is None or found.sure_right > accuracy


def test_chance_alone_leaves_an_error_that_shrinks_with_the_examples() -> None:
    random = np.random.default_rng(0)
    errors = [chance_error(random.uniform(0.2, 1, n)) for n in (100, 1000, 10_000)]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] == pytest.approx(0.04, abs=0.01), "of a thousand examples, 4 points"
    assert chance_error(np.ones(50)) == 0, "who is always right, and says so"


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_it_counts_what_predictions_say_one_by_one(task: Task) -> None:
    random = np.random.default_rng(0)
    logits = 3 * random.normal(size=(60, 4)).astype(np.float32)
    classes = random.integers(4, size=60)
    labels = classes if task == "multi-class" else np.eye(4, dtype=int)[classes] | (logits > 3)
    power = 0.5 if task == "multi-class" else 0.0
    fitted = SubsetCalibration(temperature=1.5, power=power, threshold=0.4, examples=60)
    head = Head(np.eye(4, dtype=np.float32), np.zeros(4, np.float32), task)
    sure, right, covered, confidences = [], [], [], []
    for row, truth in zip(logits, labels, strict=True):
        true = {str(truth)} if task == "multi-class" else set(map(str, np.flatnonzero(truth)))
        chances = head.probabilities(row, fitted.temperature, fitted.power)
        said = Opinion(chances, least_probability(chances, fitted.threshold, task), tuple("0123"))
        sure.append(said.sure)
        right.append(said.best in true)
        covered.append(true <= set(said.candidates))
        confidences.append(said.confidence)
    found = reliability(logits, labels, task, fitted)
    assert found.unsure == pytest.approx(1 - np.mean(sure))
    assert found.sure_right == pytest.approx(np.mean(np.array(right)[sure]))
    assert found.covered == pytest.approx(np.mean(covered))
    assert found.confidence == pytest.approx(np.mean(confidences), abs=1e-6)


def test_a_set_without_calibration_is_always_unsure_and_always_covered() -> None:
    logits, truth = drawn(50)
    present = {"audio": np.ones(50, bool), "video": np.zeros(50, bool)}
    found = reliabilities(np.stack([logits] * 3), present, truth, "multi-class", Calibration(0.1, {}, {}))
    assert list(found) == ["audio"]
    assert (found["audio"].unsure, found["audio"].sure_right, found["audio"].covered) == (1, None, 1)
    assert found["audio"].calibration_error == found["audio"].uncalibrated_error


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_recorded_answers_are_worth_what_the_audit_said(task: Task) -> None:
    (logits, truth), names = drawn(200, seed=3), [f"class{i}" for i in range(CLASSES)]
    labels = truth if task == "multi-class" else np.eye(CLASSES, dtype=int)[truth] | (logits > 1)
    calibration = Calibration(0.1, {"audio": SubsetCalibration(1.5, 0.0, 0.4, 200)}, {})
    expected = reliabilities(logits[None], {"audio": np.ones(200, bool)}, labels, task, calibration)
    rows = np.eye(CLASSES, dtype=int)[truth] if task == "multi-class" else labels
    head = Head(np.eye(CLASSES, dtype=np.float32), np.zeros(CLASSES, np.float32), task)
    answers = [
        Answer("", 1, tuple(names[j] for j in np.flatnonzero(row)), "audio", "", head.probabilities(one, 1.5))
        for one, row in zip(logits, rows, strict=True)
    ]
    (judged,) = judge_answers(answers, names, task, calibration).values()
    assert astuple(judged.worth) == astuple(expected["audio"])[:-1]


def test_the_bins_of_a_diagram_hold_every_answer_and_make_up_the_error() -> None:
    logits, truth = drawn(500)
    fitted = SubsetCalibration(temperature=1.5, power=0.0, threshold=0.4, examples=500)
    calibrated = softmax(logits / 1.5, axis=1)
    judged = judge(calibrated, np.eye(CLASSES, dtype=bool)[truth], "multi-class", fitted.threshold)
    bins = judged.bins
    assert sum(one.n for one in bins) == 500
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)
    assert all(one.low <= one.right <= one.high for one in bins)
    gap = sum(one.n * abs(one.confidence - one.right) for one in bins) / 500
    assert gap == pytest.approx(calibration_error(judged.confidences, judged.right))
