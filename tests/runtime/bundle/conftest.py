"""A bundle to alter."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(bundle_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
