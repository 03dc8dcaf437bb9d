"""A classifier of embeddings that are logits, and its answer to one window of each of some sensors."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Familiarity, Head
from sensemble_runtime.bundle.manifest import Calibration, ModalityCalibration, Task
from sensemble_runtime.engine.answer import opinion
from sensemble_runtime.prediction import Opinion

SENSORS = ("audio", "text", "video")
LABELS = ("one", "two", "three", "four")


def classifier(
    threshold: float = 0.9,
    redundancy: float = 0.4,
    task: Task = "multi-class",
    familiar: float | None = None,
    near: float | None = None,
    devices: dict[str, str] | None = None,
) -> Classifier:
    """Return a classifier of embeddings that are logits; the first coordinate tells what is familiar.

    With `near`, the largest logit and `near` tell, too: one mean of each class.
    """
    fitted = {m: ModalityCalibration(1.0 + i / 4, i / 2, 100, 50) for i, m in enumerate(SENSORS)}
    if task == "multi-label":
        fitted = {}
    known = {} if familiar is None else dict.fromkeys(SENSORS, familiar)
    rows = np.zeros((3, 5), np.float32)
    rows[:, 0] = 1
    head = Head(np.eye(5, dtype=np.float32)[1:], np.zeros(4, np.float32), task)
    if familiar is not None:
        scores = Familiarity(rows, np.zeros(3, np.float32))
        if near is not None:
            means = np.tile(np.eye(5, dtype=np.float32)[1:, np.newaxis], (3, 1, 1, 1))
            scores = replace(scores, means=means, offset=np.full(3, near, np.float32))
        head = Head(head.weight, head.bias, task, scores)
    calibration = Calibration(0.05, threshold, 50, redundancy, fitted, known)
    return Classifier(head, calibration, LABELS, SENSORS, devices or {})


def window(label: int, clue: float, known: float = 1.0) -> np.ndarray:
    logits = np.zeros(5, np.float32)
    logits[0], logits[1 + label] = known, clue
    return logits


def answered(
    classifier: Classifier,
    embeddings: Mapping[str, NDArray[np.float32]],
    lies: Mapping[str, float] | None = None,
    corrected: Collection[str] = (),
) -> tuple[Opinion, dict[str, Opinion]]:
    """Return the answer by embeddings float32 [d] of all sensors, and that of each alone."""
    evidence = {
        m: classifier.evidence(m, embeddings[m][np.newaxis], corrected=m in corrected)
        for m in sorted(embeddings)
    }
    alone = {m: opinion(classifier, evidence, (m,)) for m in evidence}
    return opinion(classifier, evidence, tuple(evidence), lies or {}), alone
