"""Shared parts of the tests of training."""

from pathlib import Path

import pytest

from tests.train.tiny import Line, dark_and_bright, write_index


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Line]]:
    """A dataset of dark and bright clips, and the lines of its index. Read only."""
    folder = tmp_path_factory.mktemp("clips")
    lines = dark_and_bright(folder)
    return write_index(folder, lines), lines
