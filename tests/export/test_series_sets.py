"""Public series sets are learned by the demo's command as any data is, and int8 keeps what is learned."""

import subprocess
import sys
from pathlib import Path

import pytest
from sensemble_apps.runs.audits import audits
from sensemble_runtime import Bundle
from sensemble_train.recipe.run_folder import read_matrix

from tests.export.series_sets import convert


@pytest.mark.slow
@pytest.mark.needs("aeon")
@pytest.mark.parametrize(
    ("name", "shape", "least"), [("BasicMotions", (1, 100, 6), 0.95), ("JapaneseVowels", (1, 26, 12), 0.95)]
)
def test_a_set_is_learned_by_the_command(
    name: str, shape: tuple[int, ...], least: float, tmp_path: Path
) -> None:
    data, run = convert(name, tmp_path / "data"), tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "sensemble_apps",
        "demo",
        "--data",
        str(data),
        "--out",
        str(run),
        "--fast",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    score = read_matrix(run)["subset"]["imu"]["imu"]
    assert score >= least
    assert audits(run).scores["imu"].accuracy == pytest.approx(score, abs=0.01)
    bundle = Bundle.open(run / "bundle")
    assert bundle.specs["imu"].shape == shape
    (artifact,) = bundle.manifest.modalities["imu"].artifacts.values()
    assert artifact.scheme.startswith("int8")
