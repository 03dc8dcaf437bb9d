"""The audit under conditions: what each score is of, what it costs, how it goes on after an interruption."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import AuditResult, audit
from sensemble_runtime.auditing.conditions import delayed
from sensemble_runtime.auditing.encoding import encode
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Familiarity
from sensemble_runtime.errors import EncoderError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.reader import read_conditions, read_runs
from sensemble_runtime.scores import CLEAN, ConditionScore
from sensemble_sensors.degraded import begin
from sensemble_sensors.kinds.conditions.condition import Applied, behind
from sensemble_sensors.kinds.registry import condition_of
from sensemble_sensors.media.dataset import Dataset, read_dataset
from sensemble_sensors.media.decoding import samples

from tests.parts import write_wav
from tests.runtime.auditing.test_audit import LABELS, dataset
from tests.runtime.certain import certain
from tests.runtime.stepped import LiveSet

__all__ = ["dataset"]  # a fixture

NOISE = Applied("audio", condition_of("audio", "noise"), 4)
DARK = Applied("video", condition_of("video", "dark"), 5)
MISSPELT = Applied("text", condition_of("text", "misspelt"), 5)


def by_subset(result: AuditResult, applied: Applied) -> dict[str, ConditionScore]:
    key = (applied.modality, applied.condition.name, applied.severity)
    return {one.subset: one for one in result.conditions if one.key == key}


def live(
    bundle: Bundle, dataset: Dataset, subset: subsets.Subset, applied: Applied
) -> list[tuple[str, Prediction | None]]:
    """Return the truth and the prediction of each example that has the subset, from the core of a session."""
    degrade, found = begin([applied], bundle.specs[applied.modality]), []
    live_set = LiveSet(bundle)
    for modality in subset:
        live_set.add(modality)
    for i, example in enumerate(dataset.examples):
        origin = 100.0 * i
        for sample in samples(example, {m: bundle.specs[m] for m in subset}, origin):
            live_set.push(degrade(sample) if sample.modality == applied.modality else sample)
        made = live_set.step(origin + 0.2)
        if set(subset) <= set(example.modalities):
            found.append((example.labels[0], made))
    return found


def test_a_clock_that_is_behind_shows_what_came_before(dataset: Dataset) -> None:
    late = behind([Applied("audio", condition_of("audio", "clock"), 3)])
    whole = dataset.examples[0]
    cut = replace(whole, start=3.0, end=5.0)
    assert delayed(cut, late) == replace(whole, start=3.0 - late, end=5.0 - late)
    assert delayed(replace(whole, start=0.2, end=2.2), late) == replace(whole, start=0.0, end=2.0)
    assert delayed(whole, late) == whole, "it begins with its media"
    assert delayed(cut, behind([NOISE])) == cut


@pytest.mark.parametrize("applied", [NOISE, DARK, MISSPELT], ids=str)
def test_every_subset_scores_as_a_session_would_under_the_condition(
    bundle: Bundle, dataset: Dataset, applied: Applied
) -> None:
    """Feed the samples of each example to the core of a session, degraded as one stream."""
    found = by_subset(audit(bundle, dataset.examples, conditions=[applied]), applied)
    assert set(found) == {
        subsets.name(s) for s in subsets.subsets(bundle.modalities) if applied.modality in s
    }
    for name, one in found.items():
        predictions = live(bundle, dataset, subsets.parse(name), applied)
        uniform = np.full(len(LABELS), 1 / len(LABELS))  # without evidence
        answered = [uniform if p is None else p.probabilities for _, p in predictions]
        right = [p is not None and LABELS[int(p.probabilities.argmax())] == truth for truth, p in predictions]
        assert one.score.n == len(predictions)
        assert one.score.accuracy == pytest.approx(np.mean(right))
        assert one.score.low <= one.score.accuracy <= one.score.high
        assert one.confidence == pytest.approx(np.mean([p.max() for p in answered]), abs=1e-5)
        sure = sum(p is not None and p.sure for _, p in predictions)
        assert one.unsure == pytest.approx(1 - sure / len(predictions))


def test_the_clean_scores_are_those_of_the_audit(bundle: Bundle, dataset: Dataset) -> None:
    found = audit(bundle, dataset.examples, conditions=[DARK])
    clean = {one.subset: one for one in found.conditions if one.condition == CLEAN}
    assert {name: one.score for name, one in clean.items()} == found.subsets
    assert all((one.modality, one.severity, one.effect) == ("", 0, "") for one in clean.values())
    shown = found.to_json()["conditions"]
    assert len(shown) == 7 + 4
    assert shown[-1]["condition"] == "dark"
    assert set(shown[-1]["score"]) >= {"accuracy", "n", "low", "high"}
    assert "conditions" not in audit(bundle, dataset.examples).to_json()


def test_only_the_degraded_modality_is_encoded_again(
    bundle: Bundle, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real = bundle.encode
    monkeypatch.setattr(bundle, "encode", lambda m, window: calls.append(m) or real(m, window))
    audit(bundle, dataset.examples)
    once = {m: calls.count(m) for m in bundle.modalities}
    assert once == {m: sum(m in e.modalities for e in dataset.examples) for m in bundle.modalities}
    calls.clear()
    seen: list[tuple[int, int]] = []
    audit(
        bundle,
        dataset.examples,
        conditions=[NOISE, replace(NOISE, severity=5), DARK],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert {m: calls.count(m) for m in bundle.modalities} == {
        "audio": 3 * once["audio"],
        "text": once["text"],
        "video": 2 * once["video"],
    }
    steps = 4 * len(dataset.examples)
    assert seen == [(i, steps) for i in range(1, steps + 1)]


def test_an_interrupted_audit_goes_on_and_gives_what_one_in_one_piece_gives(
    bundle: Bundle, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, conditions, n = tmp_path / "audit.sqlite", [NOISE, DARK, MISSPELT], len(dataset.examples)
    whole = audit(bundle, dataset.examples, conditions=conditions)

    def stop(done: int, _: int) -> None:
        if done == 3 * n + 5:
            raise KeyboardInterrupt

    for times in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            audit(bundle, dataset.examples, record=path, dataset="d", conditions=conditions, progress=stop)
        interrupted = read_runs(path)
        assert [run.ended for run in interrupted] == [None] * times
        assert len(read_conditions(path, interrupted[-1].id)) == 7 + 4 + 4

    calls: list[str] = []
    real = bundle.encode
    monkeypatch.setattr(bundle, "encode", lambda m, window: calls.append(m) or real(m, window))
    # Other labels are other data: nothing of it holds.
    other = [replace(e, labels=("two",)) for e in dataset.examples]
    audit(bundle, other, record=path, dataset="d", conditions=[DARK])
    assert calls.count("video") == 2 * sum("video" in e.modalities for e in other)
    calls.clear()
    resumed = audit(bundle, dataset.examples, record=path, dataset="d", conditions=conditions)
    assert calls.count("audio") == sum("audio" in e.modalities for e in dataset.examples), "only as it is"
    assert calls.count("text") > sum("text" in e.modalities for e in dataset.examples)
    assert resumed.conditions == whole.conditions
    last = read_runs(path)[-1]
    assert last.ended is not None
    assert tuple(read_conditions(path, last.id)) == whole.conditions


def test_multi_label_scores_count_what_gives_no_answer_as_ranked_last(
    bundle: Bundle, dataset: Dataset
) -> None:
    calibration = replace(bundle.manifest.calibration, familiar={"text": 1e12})  # no caption is
    bundle.manifest = replace(bundle.manifest, task="multi-label", calibration=calibration)
    scores = Familiarity(np.eye(3, 8, dtype=np.float32), np.zeros(3, np.float32))
    bundle.head = replace(bundle.head, task="multi-label", familiarity=scores)
    labels = bundle.manifest.labels
    bundle.classifier = Classifier(bundle.head, calibration, labels, bundle.modalities)
    found = audit(bundle, dataset.examples, conditions=[MISSPELT, NOISE])
    misspelt, noisy = by_subset(found, MISSPELT), by_subset(found, NOISE)
    assert misspelt["text"].unsure > 0.2
    for one in (*misspelt.values(), *noisy.values()):
        assert 0 <= one.score.low <= one.score.accuracy <= one.score.high <= 1


def test_a_lying_sensor_costs_no_more_than_a_missing_one(bundle: Bundle, tmp_path: Path) -> None:
    """A camera that outweighs the others shows other scenes; the first few fool the answer."""
    lines = []
    for i in range(3):
        write_wav(tmp_path / f"{i}.wav", np.full(1600, 3277 * i, np.int16))
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((8, 8, 3), 100 * i, np.uint8))
    for i, k in enumerate(np.random.default_rng(0).integers(3, size=200).tolist()):
        media = {"audio": f"{k}.wav", "image": f"{k}.png", "text": LABELS[k]}
        lines.append(json.dumps({"id": f"e{i}", "split": "eval", "labels": [LABELS[k]], **media}))
    (tmp_path / "index.jsonl").write_text("\n".join(lines))
    examples = read_dataset(tmp_path).examples
    lie = Applied("video", condition_of("video", "swapped"), 5)
    found = audit(certain(bundle), examples, conditions=[lie], record=tmp_path / "audit.sqlite")
    scores = by_subset(found, lie)
    every = scores["audio+text+video"]
    assert every.plain < 0.5
    assert every.score.accuracy > 0.95
    assert scores["audio+video"].score.accuracy == scores["audio+video"].plain, "nobody knows who lies"
    assert {r.accuracy for r in found.reliability.values()} == {1}

    both = (lie, Applied("audio", condition_of("audio", "swapped"), 5))
    under = [one for one in audit(certain(bundle), examples, conditions=[both]).conditions if one.severity]
    assert {one.key for one in under} == {("audio+video", "swapped", 5)}
    assert [one.subset for one in under] == ["audio+video", "audio+text+video"]
    assert under[0].plain < 0.6, "they lie independently"


def test_a_failing_encoder_ends_the_audit_soon(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, made = {"audio": np.zeros((10_000, 8), np.float32)}, list[int]()

    def fails(_: str, window: int) -> NDArray[np.float32]:
        if window == 5:
            raise EncoderError("audio: gave NaN")
        return np.full(8, window, np.float32)

    def windows() -> Iterator[tuple[str, int, Any]]:
        for place in range(10_000):
            made.append(place)
            yield "audio", place, place

    monkeypatch.setattr(bundle, "encode", fails)
    with pytest.raises(EncoderError, match="NaN"):
        encode(bundle, windows(), rows)
    assert len(made) < 1000
    assert (rows["audio"][:5] == np.arange(5)[:, None]).all()
