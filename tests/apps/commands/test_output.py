"""Tests of writing: paths that cannot be written, and what a failed write leaves."""

import errno
import os
from pathlib import Path

import pytest
from sensemble_apps.console.output import check_file, write
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


def test_the_target_of_a_link_is_what_is_checked_and_written(tmp_path: Path) -> None:
    far, loop = tmp_path / "far", tmp_path / "loop"
    far.symlink_to("/proc/sensemble/page.html")  # where not even root can write
    loop.symlink_to(loop)
    with pytest.raises(InputError, match=r"far: cannot be used .*; name"):
        check_file(far)
    write(loop, "a page")
    assert loop.read_text() == "a page"
