"""A bundle is calibrated with the artifacts that ship, and says where it is not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sensemble_export import run
from sensemble_export.fitting import describe_calibration, fit_calibration
from sensemble_runtime import subsets
from sensemble_runtime.auditing.calibration import LEAST, calibrate
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import Calibration, SubsetCalibration
from sensemble_runtime.pooling import pool_subsets
from sensemble_train.data.clips import Clips

from .conftest import Export


def logits_of(bundle: Bundle, clips: Clips) -> np.ndarray:
    """The logits of all subsets, by the runtime itself, window by window."""
    stacked = np.zeros((len(bundle.modalities), len(clips), bundle.manifest.embedding), np.float32)
    for rows, modality in zip(stacked, bundle.modalities, strict=True):
        for index in clips.present[modality].nonzero().flatten().tolist():
            rows[index] = bundle.encode(modality, clips.inputs[modality][index : index + 1].numpy())
    return bundle.head.logits(pool_subsets(stacked))


def test_temperatures_thresholds_and_scores_are_those_of_what_ships(exported: Export) -> None:
    bundle = Bundle.open(exported.out)
    clips = exported.calibrate
    present = {m: clips.present[m].numpy() for m in bundle.modalities}
    expected = calibrate(logits_of(bundle, clips), present, clips.targets.numpy(), "multi-class")
    found = bundle.manifest.calibration
    assert found.alpha == 0.1
    assert (
        list(found.subsets) == list(expected) == [subsets.name(s) for s in subsets.subsets(bundle.modalities)]
    )
    for name, entry in found.subsets.items():
        assert entry.examples == expected[name].examples == (27 if "text" in name else 36)
        assert (entry.temperature == 1.0) == (entry.examples < LEAST)
        assert entry.power == expected[name].power
        assert entry.temperature == pytest.approx(expected[name].temperature, rel=0.01)
        assert entry.threshold == pytest.approx(expected[name].threshold, rel=0.01)
    held_out = exported.held_out
    scores = measure(
        logits_of(bundle, held_out),
        {m: held_out.present[m].numpy() for m in bundle.modalities},
        held_out.targets.numpy(),
        "multi-class",
        group_codes([str(index // 2) for index in range(len(held_out))]),
    )
    assert scores is not None
    assert bundle.manifest.audited == scores.subsets


class Scored:
    """A store of logits, in place of one of artifacts: 30 people of 10 examples, each alike."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.head = SimpleNamespace(task="multi-class")
        self.truth = np.repeat(rng.integers(0, 3, 30), 10)
        drawn = rng.normal(size=(1, 30, 3)) + 1.5 * np.eye(3)[self.truth[::10]]
        self.found = np.repeat(drawn, 10, axis=1).astype(np.float32)
        self.there = {"audio": np.ones(300, bool)}

    def encode(self, *_: object) -> dict[str, np.ndarray]:
        return {"audio": np.zeros((300, 3), np.float32)}

    def logits(self, *_: object) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.found, self.there


def test_people_rather_than_examples_are_calibrated_on(monkeypatch: pytest.MonkeyPatch) -> None:
    store, people = Scored(), [str(index // 10) for index in range(300)]
    clips = Clips(
        {"audio": torch.zeros(300, 1)}, {"audio": torch.ones(300, dtype=bool)}, torch.tensor(store.truth)
    )
    monkeypatch.setattr(run, "_decode", lambda *_: clips)
    monkeypatch.setattr(run, "calibrate_examples", lambda _: [SimpleNamespace(group=one) for one in people])
    data = run._fitted_on(SimpleNamespace(modalities=()), SimpleNamespace(), lambda *_: None)
    found, _ = fit_calibration(store, (), data)
    codes = group_codes(people)
    fitted = (store.found, store.there, store.truth, "multi-class")
    assert found.subsets == calibrate(*fitted, groups=codes)
    assert found.subsets != calibrate(*fitted)


def test_the_least_familiar_score_is_one_that_most_held_out_windows_reach(exported: Export) -> None:
    bundle, clips = Bundle.open(exported.out), exported.calibrate
    scores, thresholds = bundle.head.familiarity, bundle.manifest.calibration.familiar
    assert scores is not None
    assert list(thresholds) == list(bundle.modalities)
    for row, (modality, threshold) in enumerate(thresholds.items()):
        held_out = clips.inputs[modality][clips.present[modality]]
        found = [scores.score(row, bundle.encode(modality, window[None].numpy())) for window in held_out]
        # Of fewer than 49 windows, the least familiar is the limit.
        assert threshold == pytest.approx(min(found), abs=0.02 * np.ptp(found))
        strange = bundle.encode(
            modality, np.zeros(bundle.specs[modality].shape, bundle.specs[modality].dtype)
        )
        assert np.isfinite(scores.score(row, strange))


def test_it_says_what_is_not_calibrated(exported: Export) -> None:
    whole, few = describe_calibration(exported.manifest)
    assert "up to 36 examples" in whole
    assert few.startswith("not calibrated, for fewer than 30 examples of calibrate have them: text (27), ")
    bare = replace(exported.manifest, calibration=Calibration(0.1, 0.5, {}, {}))
    (line,) = describe_calibration(bare)
    assert "every prediction is unsure" in line
    many = {name: SubsetCalibration(1.2, 0.0, 0.5, 50, 9) for name in exported.manifest.calibration.subsets}
    assert len(list(describe_calibration(replace(bare, calibration=Calibration(0.1, 0.5, many, {}))))) == 1
