"""The audit against the unknown: what it counts, of what, and how it is recorded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.auditing.audit import audit
from sensemble_runtime.auditing.unknown import _auroc
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Familiarity
from sensemble_runtime.record.reader import read_runs, read_unknown
from sensemble_runtime.scores import UnknownScore
from sensemble_sensors.media.dataset import Dataset
from sklearn.metrics import roc_auc_score

from tests.runtime.auditing.test_audit import dataset

__all__ = ["dataset"]  # a fixture


def by_key(scores: tuple[UnknownScore, ...]) -> dict[tuple[str, str], UnknownScore]:
    return {(one.name, one.subset): one for one in scores}


def guarded(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, least: float) -> None:
    """Let all scores of familiarity be 0, and the least of a familiar window `least`."""
    n, size = len(bundle.modalities), bundle.manifest.embedding
    head = replace(
        bundle.head, familiarity=Familiarity(np.zeros((n, size), np.float32), np.zeros(n, np.float32))
    )
    calibration = replace(bundle.manifest.calibration, familiar=dict.fromkeys(bundle.modalities, least))
    monkeypatch.setattr(
        bundle, "classifier", Classifier(head, calibration, bundle.manifest.labels, bundle.modalities)
    )


def test_each_sort_of_windows_is_scored_for_each_sensor_and_for_all(
    bundle: Bundle, dataset: Dataset, tmp_path: Path
) -> None:
    record, seen = tmp_path / "audit.sqlite", list[tuple[int, int]]()
    backgrounds = [replace(one, labels=()) for one in dataset.examples[:10]]
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    result = audit(bundle, dataset.examples, unknown=backgrounds, record=record, progress=progress)
    found = by_key(result.unknown)
    every = {"audio", "text", "video", "audio+text+video"}
    for name in ("known", "left out", "mixed", "half", "joined", "background"):
        assert {subset for one, subset in found if one == name} == every, name
    alone = {"audio": {"reversed", "fast"}, "text": {"negated"}, "video": {"mirrored"}}
    for modality, names in alone.items():
        assert {name for name in names if (name, modality) in found} == names
    for key, one in found.items():
        assert one.sure_wrong <= one.sure, key
        assert (one.auroc is None) == (one.name == "known"), key
    shown = {m: sum(m in e.modalities for e in dataset.examples) for m in bundle.modalities}
    assert {m: found["left out", m].n for m in shown} == shown
    assert {m: found["known", m].n for m in shown} == shown
    assert found["background", "audio"].sure_wrong == found["background", "audio"].sure
    assert seen[-1][0] == seen[-1][1]
    assert read_unknown(record, read_runs(record)[-1].id) == list(result.unknown)
    assert len(result.to_json()["unknown"]) == len(found)
    assert "unknown" not in audit(bundle, dataset.examples).to_json()


def test_what_is_unfamiliar_is_not_sure_and_known_windows_pay(
    bundle: Bundle, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [replace(one, groups=(str(i % 2), f"room {i % 3}")) for i, one in enumerate(dataset.examples)]
    guarded(bundle, monkeypatch, least=1.0)
    for one in audit(bundle, people, unknown=[]).unknown:
        assert (one.sure, one.sure_wrong, one.unfamiliar) == (0, 0, 1)
        assert one.auroc in (None, 0.5)
        assert one.of_one in (None, 1)
    guarded(bundle, monkeypatch, least=0.0)
    found = by_key(audit(bundle, people, unknown=[]).unknown)
    assert found["known", "text"].unfamiliar == 0
    assert ("background", "text") not in found


def test_a_class_left_out_is_never_answered(bundle: Bundle) -> None:
    n, size, count = len(bundle.modalities), bundle.manifest.embedding, len(bundle.manifest.labels)
    draw = np.random.default_rng(0)
    shapes = (n, size), n, (n, count, 2, size), n
    scores = Familiarity(*(draw.normal(size=shape).astype(np.float32) for shape in shapes))
    head = replace(bundle.head, familiarity=scores)
    whole = Classifier(head, bundle.manifest.calibration, bundle.manifest.labels, bundle.modalities)
    less, rows = whole.without(1), draw.normal(size=(20, size)).astype(np.float32)
    assert less.labels == (bundle.manifest.labels[0], *bundle.manifest.labels[2:])
    assert less.opinions("text", rows).shape == (20, count - 1)
    kept = np.delete(head.logits(rows), 1, axis=1)
    assert np.array_equal(less.opinions("text", rows), less.calibrated("text", kept))


def test_auroc_counts_ties_by_half() -> None:
    draw = np.random.default_rng(0)
    high, low = draw.integers(0, 9, 50), draw.integers(0, 7, 70)
    truth = np.repeat([1, 0], [50, 70])
    assert _auroc(high, low) == pytest.approx(roc_auc_score(truth, np.concatenate([high, low])))
