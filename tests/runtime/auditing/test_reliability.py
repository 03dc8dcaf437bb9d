"""The worth of confidence and sure answers, against torchmetrics and one prediction at a time."""

from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sensemble_runtime.auditing.reliability import (
    calibration_error,
    chance_error,
    outcomes,
    recorded_answers,
)
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.manifest import Calibration, ModalityCalibration, Task
from sensemble_runtime.engine.answer import DOUBTS, SEVERAL, UNFAMILIAR, Answers, answer
from sensemble_runtime.record.writer import RecordedAnswer

from tests.runtime.answering import answered

from .test_calibration import CLASSES, drawn


@pytest.mark.parametrize("n", [1, 7, 500])
def test_the_calibration_error_is_that_of_torchmetrics(n: int) -> None:
    from torchmetrics.functional.classification import multiclass_calibration_error  # it takes 3 s

    logits, truth = drawn(n)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    expected = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(truth), num_classes=CLASSES, n_bins=15, norm="l1"
    )
    confidences, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    assert calibration_error(confidences, right) == pytest.approx(float(expected), abs=1e-6)
    assert calibration_error(np.ones(3), np.ones(3, bool)) == 0


LABELS = tuple(map(str, range(CLASSES)))


def classifier_of(
    task: Task, fitted: dict[str, ModalityCalibration] | None = None, threshold: float = 0.5
) -> Classifier:
    head = Head(np.eye(CLASSES, dtype=np.float32), np.zeros(CLASSES, np.float32), task)
    return Classifier(head, Calibration(0.05, threshold, 60, 0.0, fitted or {}, {}), LABELS, ["audio"])


def answers_of(classifier: Classifier, logits: np.ndarray, familiar: np.ndarray | None = None) -> Answers:
    evidence = replace(classifier.evidence("audio", logits), familiar=familiar)
    there = {"audio": np.ones(len(logits), bool)}
    return answer({"audio": evidence}, there, ("audio",), 0.0, classifier.task, classifier.threshold)


def test_evidence_is_an_answer_though_it_is_even_and_a_guess_unless_it_is() -> None:
    shares = np.array([[0.5, 0.5], [0.5, 0.5], [0.6, 0.4]], np.float32)
    answers = Answers(shares, np.array([SEVERAL, UNFAMILIAR, UNFAMILIAR], np.int8), 0.9)
    assert answers.evident.tolist() == [True, False, True]


def test_chance_alone_leaves_an_error_that_shrinks_with_the_examples() -> None:
    random = np.random.default_rng(0)
    errors = [chance_error(random.uniform(0.2, 1, n)) for n in (100, 1000, 10_000)]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] == pytest.approx(0.04, abs=0.01), "of a thousand examples, 4 points"
    assert chance_error(np.ones(50)) == 0, "who is always right, and says so"


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_it_counts_what_answers_say_one_by_one(task: Task) -> None:
    random = np.random.default_rng(0)
    logits = 3 * random.normal(size=(60, CLASSES)).astype(np.float32)
    classes = random.integers(CLASSES, size=60)
    labels = classes if task == "multi-class" else np.eye(CLASSES, dtype=int)[classes] | (logits > 3)
    power = 0.5 if task == "multi-class" else 0.0
    known = classifier_of(task, {"audio": ModalityCalibration(1.5, power, 60, 60)}, 0.8)
    sure, right, confidences = [], [], []
    for row, truth in zip(logits, labels, strict=True):
        true = {str(truth)} if task == "multi-class" else set(map(str, np.flatnonzero(truth)))
        opinion, _ = answered(known, {"audio": row})
        assert opinion.sure == (opinion.confidence >= 0.8) == (len(opinion.candidates) == 1)
        sure.append(opinion.sure)
        right.append(opinion.best in true)
        confidences.append(opinion.confidence)
    found = outcomes(answers_of(known, logits), labels, task).reliability
    assert found.unsure == pytest.approx(1 - np.mean(sure))
    assert found.accuracy == pytest.approx(np.mean(right))
    assert found.sure_right == pytest.approx(np.mean(np.array(right)[sure]))
    assert found.sure_wrong == pytest.approx(np.mean(np.array(sure) & ~np.array(right)))
    assert found.withheld == pytest.approx(1 - np.mean(np.array(sure)[right]))
    assert found.confidence == pytest.approx(np.mean(confidences), abs=1e-6)


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_recorded_answers_are_worth_what_the_audit_said(task: Task) -> None:
    logits, truth = drawn(200, seed=3)
    labels = truth if task == "multi-class" else np.eye(CLASSES, dtype=int)[truth] | (logits > 1)
    familiar = np.arange(200) % 3 > 0
    given = answers_of(classifier_of(task), logits, familiar)
    rows = np.eye(CLASSES, dtype=int)[truth] if task == "multi-class" else labels
    recorded = [
        RecordedAnswer(
            str(i),
            1,
            tuple(LABELS[j] for j in np.flatnonzero(rows[i])),
            "audio",
            "",
            given.probabilities[i].astype(np.float32),
            given.threshold,
            DOUBTS[given.doubts[i]],
        )
        for i in range(200)
    ]
    (found,) = recorded_answers(recorded, LABELS, task).sets.values()
    expected = outcomes(given, labels, task)
    assert astuple(found.reliability) == astuple(expected.reliability)
    assert expected.right[~familiar].any(), "a guess may be right"
    assert not expected.sure[~familiar].any()


def test_the_bins_of_a_diagram_hold_every_answer_and_make_up_the_error() -> None:
    logits, truth = drawn(500)
    found = outcomes(answers_of(classifier_of("multi-class"), logits), truth, "multi-class")
    bins = found.bins
    assert sum(one.n for one in bins) == 500
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)
    assert all(one.low <= one.right <= one.high for one in bins)
    gap = sum(one.n * abs(one.confidence - one.right) for one in bins) / 500
    assert gap == pytest.approx(calibration_error(found.confidences, found.right))
