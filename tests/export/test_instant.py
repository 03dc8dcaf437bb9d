"""The export of an instant head: a bundle that answers from few takes, lowered once for all of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sensemble_export import export_instant
from sensemble_export.measuring import artifact_store
from sensemble_runtime import Bundle
from sensemble_runtime.auditing.calibration import CONFIDENT
from sensemble_runtime.bundle.manifest import FileEntry, Manifest
from sensemble_train import instant

from tests.runtime.answering import answered
from tests.train.recipe.test_instant import takes
from tests.train.tiny import ENCODERS

pytestmark = pytest.mark.real


def files(manifest: Manifest, modality: str) -> tuple[FileEntry, ...]:
    return manifest.modalities[modality].artifacts["executorch-xnnpack"].files


@pytest.mark.usefixtures("lowered_once")
def test_its_bundle_answers_with_the_calibrated_sum_and_another_set_of_takes_lowers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = instant(takes(tmp_path, {"dark": 4, "bright": 4}), ENCODERS)
    targets = ("executorch-xnnpack", "onnx")
    manifest = export_instant(found, tmp_path / "run/bundle", "takes", targets=targets)
    bundle = Bundle.open(tmp_path / "run/bundle")
    known = manifest.calibration
    assert (known.groups, known.promised, known.threshold) == (6, False, CONFIDENT), "six have both"
    assert manifest.audited["video"].accuracy == 1
    clips = found.examples.having(("audio", "video"))
    with torch.no_grad():
        embeddings = {m: e(clips.inputs[m])[0].numpy() for m, e in found.model.encoders.items()}
        alone = {m: found.model({m: x})[0].numpy() for m, x in clips.inputs.items()}
    fused, opinions = answered(bundle.classifier, embeddings)
    for m, opinion in opinions.items():
        np.testing.assert_allclose(opinion.probabilities, softmax(alone[m]), atol=1e-4)
    assert fused.label == "dark", "takes are few: an answer is given all the same"
    monkeypatch.delattr(artifact_store, "lower_all")
    grown = instant(takes(tmp_path, {"dark": 4, "bright": 4, "grey": 3}), ENCODERS)
    again = export_instant(grown, tmp_path / "run/bundle", "takes", targets=targets)
    assert Bundle.open(tmp_path / "run/bundle", "onnx").modalities == ("audio", "video")
    assert again.labels == ("bright", "dark", "grey")
    assert files(again, "video") == files(manifest, "video")
    assert again.calibration.groups > known.groups
