"""A bundle is calibrated with the artifacts that ship, and says where it is not."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sensemble_export import run
from sensemble_export.measuring.calibration import limit_of
from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import plain
from sensemble_runtime.auditing.calibration import RISK, calibrate, fit_threshold
from sensemble_runtime.auditing.intervals import group_codes, people_codes
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.head import KNOWN
from sensemble_sensors.media.dataset import Example
from sensemble_train.data.clips import Clips

from tests.export.conftest import NAMED, PEOPLE, Export

EXAMPLE = SimpleNamespace(id="one", start=None, groups=("anna", "writer 3"), person="anna")


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
    ways = group_codes(PEOPLE).T
    expected = calibrate(logits, present, truth, "multi-class", ways[-1])
    assert found.modalities.keys() == expected.keys() == {*bundle.modalities}
    for modality, entry in found.modalities.items():
        assert entry.examples == (27 if modality == "text" else 36)
        assert entry.power == expected[modality].power
        assert entry.temperature == pytest.approx(expected[modality].temperature, rel=0.01)
    evidence = {
        m: bundle.classifier.evidence(m, own) for m, own in zip(bundle.modalities, shown, strict=True)
    }
    people = people_codes(NAMED)
    threshold, count = fit_threshold(evidence, present, truth, "multi-class", people, found.redundancy)
    assert (found.risk, found.groups) == (RISK, count) == (RISK, 24)
    assert found.threshold == pytest.approx(threshold, abs=0.05)
    held_out = exported.held_out
    rows = dict(zip(bundle.modalities, embeddings_of(bundle, held_out), strict=True))
    answers = plain(
        {m: bundle.classifier.evidence(m, own) for m, own in rows.items()},
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


def test_a_run_is_calibrated_by_the_groups_of_its_examples(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "_decode", lambda *_: None)
    monkeypatch.setattr(run, "calibrate_examples", lambda *_: [EXAMPLE])
    model = SimpleNamespace(modalities=(), description=SimpleNamespace(specs={}, labels=(), linear=False))
    data = run._fitted_on(model, SimpleNamespace(folder=tmp_path), lambda *_: None, 1.0, run.SPARING)
    assert (data.groups, data.people) == ([("anna", "writer 3")], ["anna"])


def test_a_window_of_calibrate_is_familiar_and_the_limit_lies_near_the_least_of_few(exported: Export) -> None:
    bundle, clips = Bundle.open(exported.out), exported.calibrate
    scores, thresholds = bundle.head.familiarity, bundle.manifest.calibration.familiar
    assert scores is not None
    assert list(thresholds) == list(bundle.modalities)
    for row, (modality, threshold) in enumerate(thresholds.items()):
        held_out = clips.inputs[modality][clips.present[modality]]
        found = [scores.scores(row, bundle.encode(modality, window[None].numpy())) for window in held_out]
        # Of fewer than 49 windows, the least familiar one is no lower than the limit.
        assert min(found) - np.ptp(found) < threshold < min(found) + 0.02 * np.ptp(found)
        strange = bundle.encode(
            modality, np.zeros(bundle.specs[modality].shape, bundle.specs[modality].dtype)
        )
        assert np.isfinite(scores.scores(row, strange))


def test_few_windows_lower_the_limit_and_the_odds_of_any_window_are_that_of_still_fewer() -> None:
    one = np.zeros((1, 8), int)
    assert limit_of(np.arange(1.0, 9.0), one) == -KNOWN
    assert limit_of(np.arange(-5.0, 3.0), one) == -5
    draw = np.random.default_rng(0)
    shown = [limit_of(draw.normal(size=29), np.zeros((1, 29), int)) for _ in range(300)]
    wasted = draw.normal(size=(1000, 1)) < np.array(shown)
    assert wasted.mean() < 0.02, "of new windows, and by the least of 29 it would be 0.03"
    assert limit_of(np.linspace(3, 9, 49), np.zeros((1, 49), int)) == 3, "the share is a window"


def test_people_are_left_out_in_turn_unless_somebody_alone_gave_a_class() -> None:
    """Of takes of one sitting, nothing was left to fit on, and each answer was unsure."""

    def taken(*given: tuple[str, str]) -> list[str | None]:
        takes = [
            Example(f"{n}", "train", (label,), {}, line=n, groups=(who, f"take {n}"), person=who)
            for n, (who, label) in enumerate(given)
        ]
        return [example.group for example in run.apart(takes)]

    two = [("anna", "yes"), ("anna", "no"), ("ben", "yes"), ("ben", "no")]
    assert taken(*two) == ["anna", "anna", "ben", "ben"]
    assert taken(*two[:2], *two[:2]) == ["take 0", "take 1", "take 2", "take 3"]
    assert taken(*two[:3]) == ["anna", "anna", "ben"], "a class with one example decides nothing"
