"""A small real bundle for every test of the runtime, built once a session in a process that has torch."""

import subprocess
import sys
from pathlib import Path

import pytest

BUILDER = Path(__file__).with_name("build_bundle.py")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `build_bundle.py` leaves: `bundle/` and `reference.npz`. Read only; copy it to alter it."""
    folder = tmp_path_factory.mktemp("built")
    run = subprocess.run([sys.executable, BUILDER, folder], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="session")
def bundle_folder(built: Path) -> Path:
    """A complete bundle of audio, text and video: d = 8, three labels. Read only; copy it to alter it."""
    return built / "bundle"
