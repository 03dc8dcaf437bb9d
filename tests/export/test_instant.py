"""The export of an instant head: a bundle that adds log-probabilities, lowered once for all takes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sensemble_export import artifact_store, export_instant
from sensemble_runtime import Bundle
from sensemble_runtime.bundle.judge import Judge
from sensemble_runtime.bundle.manifest import FileEntry, Manifest
from sensemble_train import instant

from tests.train.recipe.test_instant import ENCODERS, takes


def files(manifest: Manifest, modality: str) -> tuple[FileEntry, ...]:
    return manifest.modalities[modality].artifacts["executorch-xnnpack"].files


@pytest.mark.usefixtures("lowered_once")
def test_its_bundle_answers_with_the_calibrated_sum_and_another_set_of_takes_lowers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = instant(takes(tmp_path, {"dark": 4, "bright": 4}), ENCODERS)
    manifest = export_instant(found, tmp_path / "run/bundle", "takes")
    bundle = Bundle.open(tmp_path / "run/bundle")
    assert manifest.calibration.subsets["audio+video"].temperature == pytest.approx(0.5)
    assert manifest.audited["video"].accuracy == 1
    judge = Judge(bundle.manifest, bundle.head)
    clips = found.examples.having(("audio", "video"))
    with torch.no_grad():
        embeddings = {m: e(clips.inputs[m])[0].numpy() for m, e in found.model.encoders.items()}
        alone = {m: found.model({m: x})[0].numpy() for m, x in clips.inputs.items()}
    answer, opinions = judge.answer(embeddings)
    for m, opinion in opinions.items():
        np.testing.assert_allclose(opinion.probabilities, softmax(alone[m]), atol=1e-4)
    summed = sum(log_softmax(each) for each in alone.values())
    np.testing.assert_allclose(answer.probabilities, softmax(summed), atol=1e-4)
    assert (answer.best, answer.doubt) == ("dark", "uncalibrated"), "eight groups are too few for a threshold"
    monkeypatch.delattr(artifact_store, "lower_all")
    grown = instant(takes(tmp_path, {"dark": 4, "bright": 4, "grey": 3}), ENCODERS)
    again = export_instant(grown, tmp_path / "run/bundle", "takes")
    assert again.labels == ("bright", "dark", "grey")
    assert files(again, "video") == files(manifest, "video")
    assert again.calibration.subsets["video"].threshold > 0
