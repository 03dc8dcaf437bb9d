"""A public series set is learned by the demo's command as any data is, and int8 keeps what is learned."""

import subprocess
import sys
from pathlib import Path

import pytest
from sensemble_apps.results.audits import audits
from sensemble_runtime import Bundle
from sensemble_train.recipe.run_folder import read_matrix

from tests.export.series_sets import convert


@pytest.mark.slow
@pytest.mark.needs("aeon")
def test_a_set_is_learned_by_the_command(tmp_path: Path) -> None:
    data, run = convert("BasicMotions", tmp_path / "data"), tmp_path / "run"
    options = ["--data", str(data), "--out", str(run), "--fast"]
    command = [sys.executable, "-m", "sensemble_apps", "demo", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    score = read_matrix(run)["subset"]["imu"]["imu"]
    assert score >= 0.95
    assert audits(run).scores["imu"].accuracy == pytest.approx(score, abs=0.01)
    bundle = Bundle.open(run / "bundle")
    assert bundle.specs["imu"].shape == (1, 100, 6)
    artifact = bundle.manifest.modalities["imu"].artifacts["executorch-xnnpack"]
    assert artifact.scheme.startswith("int8")
