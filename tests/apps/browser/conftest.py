"""A bundle that takes no training, and its page."""

from pathlib import Path

import pytest
from sensemble_apps.cli import main

from .colours import write_colours


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle for ONNX Runtime."""
    return write_colours(tmp_path / "bundle")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page and a bundle, as a user builds them."""
    folder = tmp_path_factory.mktemp("page")
    assert main(["web", str(write_colours(folder / "bundle")), "--out", str(folder / "site")]) == 0
    return folder / "site"
