"""A bundle is calibrated with the artifacts that ship, and says where it is not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sensemble_export import run
from sensemble_export.fitting import describe_calibration, fit_calibration, limit_of
from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import plain
from sensemble_runtime.auditing.calibration import CONFIDENT, RISK, calibrate, fit_threshold
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.head import KNOWN, Head
from sensemble_runtime.bundle.manifest import Calibration
from sensemble_train.data.clips import Clips

from .conftest import Export


def embeddings_of(bundle: Bundle, clips: Clips) -> np.ndarray:
    """The embeddings of all windows, by the runtime itself, one by one."""
    stacked = np.zeros((len(bundle.modalities), len(clips), bundle.manifest.embedding), np.float32)
    for rows, modality in zip(stacked, bundle.modalities, strict=True):
        for index in clips.present[modality].nonzero().flatten().tolist():
            rows[index] = bundle.encode(modality, clips.inputs[modality][index : index + 1].numpy())
    return stacked


def test_opinions_threshold_and_scores_are_those_of_what_ships(exported: Export) -> None:
    bundle, clips = Bundle.open(exported.out), exported.calibrate
    present = {m: clips.present[m].numpy() for m in bundle.modalities}
    truth, found = clips.targets.numpy(), bundle.manifest.calibration
    shown = embeddings_of(bundle, clips)
    logits = dict(zip(bundle.modalities, bundle.head.logits(shown), strict=True))
    expected = calibrate(logits, present, truth, "multi-class", np.arange(len(clips)))
    assert found.modalities.keys() == expected.keys() == {*bundle.modalities}
    for modality, entry in found.modalities.items():
        assert entry.examples == (27 if modality == "text" else 36)
        assert entry.power == expected[modality].power
        assert entry.temperature == pytest.approx(expected[modality].temperature, rel=0.01)
    assert (found.risk, found.groups) == (RISK, 27)
    opinions = {
        m: bundle.classifier.opinions(m, own) for m, own in zip(bundle.modalities, shown, strict=True)
    }
    threshold, _ = fit_threshold(
        opinions, present, present, truth, "multi-class", np.arange(len(clips)), found.redundancy
    )
    assert found.threshold == pytest.approx(threshold, abs=0.05)
    held_out = exported.held_out
    rows = dict(zip(bundle.modalities, embeddings_of(bundle, held_out), strict=True))
    answers = plain(
        {m: bundle.classifier.opinions(m, own) for m, own in rows.items()},
        subsets.measured(bundle.modalities),
        found.redundancy,
        "multi-class",
    )
    scores = measure(
        np.stack(list(answers.values())),
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
        self.head = Head(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), "multi-class")
        self.model = SimpleNamespace(
            description=SimpleNamespace(labels=("a", "b", "c")), modalities=("audio",)
        )
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
    monkeypatch.setattr(
        run, "calibrate_examples", lambda _: [SimpleNamespace(groups=(one,)) for one in people]
    )
    data = run._fitted_on(SimpleNamespace(modalities=()), SimpleNamespace(), lambda *_: None)
    found, _ = fit_calibration(store, (), data)
    fitted = ({"audio": store.found[0]}, store.there, store.truth, "multi-class")
    assert found.modalities == calibrate(*fitted, group_codes(people))
    assert found.modalities != calibrate(*fitted, np.arange(300))
    assert (found.groups, found.promised) == (30, True)
    writers = [(one, f"writer {int(one) % 3}") for one in people]
    both, _ = fit_calibration(store, (), replace(data, groups=writers))
    assert (both.groups, both.promised, both.threshold) == (3, False, max(CONFIDENT, found.threshold))


def test_the_least_familiar_score_is_one_that_most_held_out_windows_reach(exported: Export) -> None:
    bundle, clips = Bundle.open(exported.out), exported.calibrate
    scores, thresholds = bundle.head.familiarity, bundle.manifest.calibration.familiar
    assert scores is not None
    assert list(thresholds) == list(bundle.modalities)
    for row, (modality, threshold) in enumerate(thresholds.items()):
        held_out = clips.inputs[modality][clips.present[modality]]
        found = [scores.scores(row, bundle.encode(modality, window[None].numpy())) for window in held_out]
        # Of fewer than 49 windows, the least familiar is the limit.
        assert threshold == pytest.approx(min(found), abs=0.02 * np.ptp(found))
        strange = bundle.encode(
            modality, np.zeros(bundle.specs[modality].shape, bundle.specs[modality].dtype)
        )
        assert np.isfinite(scores.scores(row, strange))


def test_the_odds_of_any_window_are_the_limit_of_few_windows_unless_one_of_them_has_less() -> None:
    one = np.zeros((1, 8), int)
    assert limit_of(np.arange(1.0, 9.0), one) == -KNOWN
    assert limit_of(np.arange(-5.0, 3.0), one) == -5
    assert limit_of(np.linspace(3, 9, 40), np.zeros((1, 40), int)) == 3


def test_it_says_what_is_not_calibrated_and_what_is_promised(exported: Export) -> None:
    whole, few, promise = describe_calibration(exported.manifest)
    assert "up to 36 examples" in whole
    assert few.endswith("text (27)")
    assert promise == exported.manifest.calibration.promise
    assert promise.startswith("promised: at most 5 %")
    bare = replace(exported.manifest, calibration=Calibration(0.05, 0.9, 7, 0.5, {}, {}))
    none, promise = describe_calibration(bare)
    assert none.startswith("not calibrated")
    assert promise.startswith("not promised for new people: 7 of the 19 needed")
