"""A bundle that takes no training."""

from pathlib import Path

import pytest

from .colours import write_colours


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle for ONNX Runtime."""
    return write_colours(tmp_path / "bundle")
