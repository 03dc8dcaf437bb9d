"""A bundle whose encoders nobody runs."""

from pathlib import Path

import pytest

from tests.vectors import write


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle for ONNX Runtime, whose encoders are one byte."""
    folder = write(tmp_path / "bundle", "multi-class")
    for modality in ("audio", "text", "video"):
        (folder / modality).mkdir()
        (folder / modality / "x.onnx").write_bytes(b"x")
    return folder
