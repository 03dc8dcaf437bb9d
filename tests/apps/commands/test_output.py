"""Tests of writing: paths that cannot be written, and what a failed write leaves."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sensemble_apps.console.output import write
from sensemble_apps.errors import InputError

from tests.apps.conftest import COMMAND, Refusal, matrices, write_matrix

NOWHERE = Path("/proc/sensemble")  # where not even root can write


def break_off(path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    write(path, "half")


def test_on_a_full_disk_nothing_is_left_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    page.write_text("the last one")
    with pytest.raises(InputError, match=r"page\.html: cannot be used \(.*\); make room on its disk"):
        break_off(page, OSError(errno.ENOSPC, "No space left on device"), monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert page.read_text() == "the last one"


def test_ctrl_c_leaves_nothing_of_a_page_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path / "page.html", KeyboardInterrupt(), monkeypatch)
    assert list(tmp_path.iterdir()) == []


def test_a_link_still_leads_where_it_did(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("page.html")
    write(tmp_path / "link", "whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "page.html").read_text() == "whole"


def test_a_device_is_not_replaced_by_a_page(tmp_path: Path, refusal: Refusal) -> None:
    write_matrix(tmp_path / "matrix.json", matrices())
    assert refusal("report", tmp_path, "--out", "/dev/null") == (
        "sensemble: /dev/null: is not a file; name another"
    )
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_what_cannot_be_written_is_one_line_before_anything_is_done(
    tmp_path: Path, dataset_folder: Path, refusal: Refusal
) -> None:
    write_matrix(tmp_path / "matrix.json", matrices())
    for arguments in (
        ("train", "--data", dataset_folder, "--out", NOWHERE),
        ("train", "matrix", "digits", "--data", dataset_folder, "--out", NOWHERE),
        ("demo", "--data", dataset_folder, "--out", NOWHERE),
        ("report", tmp_path, "--out", NOWHERE / "page.html"),
    ):
        line = refusal(*arguments)
        assert line.startswith(f"sensemble: {NOWHERE}"), line
        assert "cannot be used (" in line


def test_an_option_that_is_given_twice_is_refused(dataset_folder: Path, refusal: Refusal) -> None:
    line = refusal("run", "bundle", "--replay", dataset_folder, "--replay=other", "--fast")
    assert line == "sensemble: --replay: is given 2 times; give it once"
    assert "no bundle there" in refusal("run", "bundle", "--captions", "a.txt", "--captions", "b.txt")


def test_two_sources_are_one_too_many(bundle_folder: Path, dataset_folder: Path, refusal: Refusal) -> None:
    clip = dataset_folder / "eval-one-0.mkv"
    line = refusal("run", bundle_folder, "--media", clip, "--replay", dataset_folder)
    assert line.endswith(", and not both")
    assert not refusal("run", bundle_folder).endswith("not both")
    assert refusal("record", "out", "--media", clip, "--camera", "0").endswith(", and not both")


def test_the_help_of_all_has_no_gaps() -> None:
    result = subprocess.run(
        [COMMAND, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    _, _, commands = result.stdout.partition("commands:\n")
    rows = dict(line.strip().split("  ", 1) for line in commands.splitlines())
    assert "train matrix" in rows
    assert all(rows.values())


def test_ctrl_c_is_how_a_run_on_sensors_ends(bundle_folder: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "run", bundle_folder, "--captions", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("one person\n")
        process.stdin.flush()
        assert any("%" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "1 windows encoded, 0 dropped for newer ones"
