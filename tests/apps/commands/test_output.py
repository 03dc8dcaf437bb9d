"""Tests of writing: paths that cannot be written, and what a failed write leaves."""

import errno
import os
from pathlib import Path

import pytest
from sensemble_apps.console.output import write
from sensemble_apps.errors import InputError


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left"), InputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "ctrl-c"],
)
def test_nothing_is_left_of_half_a_page(
    error: BaseException, raised: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise error

    page = tmp_path / "page.html"
    page.write_text("the last one")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(raised):
        write(page, "half")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert page.read_text() == "the last one"
