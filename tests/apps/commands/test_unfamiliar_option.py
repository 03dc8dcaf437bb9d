"""`--unfamiliar` of `run` and `serve`: what becomes of a sensor that is unlike all that was trained on."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.head import Familiarity, save_head
from sensemble_runtime.bundle.manifest_file import write_manifest

from tests.apps.commands.test_run_command import predictions
from tests.apps.conftest import Sensemble


@pytest.fixture(scope="module")
def deaf(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with a score of familiarity by which every sound is unfamiliar, and nothing else."""
    out = tmp_path_factory.mktemp("deaf") / "bundle"
    shutil.copytree(bundle_folder, out)
    made = Bundle.open(out)
    rows = len(made.modalities)
    scores = Familiarity(np.zeros((rows, made.manifest.embedding), np.float32), np.zeros(rows, np.float32))
    head = out / made.manifest.head.path
    save_head(replace(made.head, familiarity=scores), head)
    content = head.read_bytes()
    entry = replace(made.manifest.head, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    thresholds = {m: 1.0 if m == "audio" else -1.0 for m in made.modalities}
    calibration = replace(made.manifest.calibration, familiar=thresholds)
    write_manifest(replace(made.manifest, head=entry, calibration=calibration), out / "manifest.json")
    return out


@pytest.mark.parametrize("option", [(), ("--unfamiliar", "pool")])
def test_a_run_leaves_an_unfamiliar_sensor_out_or_pools_it(
    here: Sensemble, deaf: Path, dataset_folder: Path, option: tuple[str, ...]
) -> None:
    result = here("run", deaf, "--replay", dataset_folder, "--json", *option)
    assert result.returncode == 0, result.stderr
    found = [one for one in predictions(result.stdout) if one["unfamiliar"] == ["audio"]]
    assert found, "two seconds of it are enough"
    assert {"audio" in one["live"] for one in found} == {bool(option)}
    assert "microphone unfamiliar: it is unlike" in result.stderr
