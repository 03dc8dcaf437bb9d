"""Names, reasons and labels that are not UTF-8 or hold escape sequences: kept, shown, and harmless."""

import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.session import Session

from tests.apps.conftest import Sensemble

pytestmark = pytest.mark.real

ODD = "caf\udce9\x1b[31m\x9b2J\u202e"  # as a file's name may be
SHOWN = r"caf\udce9\u001b[31m\u009b2J\u202e"


def test_a_file_with_an_odd_name_is_run_and_its_history_is_printed(
    bundle_folder: Path, tmp_path: Path, here: Sensemble
) -> None:
    captions, record = tmp_path / f"{ODD}.txt", tmp_path / "record.sqlite"
    captions.write_text("one here\n")
    for arguments in (
        ("run", bundle_folder, "--captions", str(captions), "--record", record),
        ("history", record),
    ):
        result = here(*arguments)
        assert result.returncode == 0, result.stderr
        assert rf"{SHOWN}.txt attached" in result.stdout
        assert not {"\x1b", "\x9b", "\u202e"} & set(result.stdout + result.stderr)


def test_a_record_of_a_stranger_prints_no_escapes_and_no_markup(
    bundle_folder: Path, tmp_path: Path, here: Sensemble
) -> None:
    record = tmp_path / "record.sqlite"
    with Session(Bundle.open(bundle_folder), record=record):
        pass
    with closing(sqlite3.connect(record)) as db, db:
        columns = "run, at, time, modality, kind, name, reason"
        named = ("live", "", "[/]"), ("\x1b[31mlost", "\x1b[2J", "\x07[/red]")
        rows = [(1, monotonic(), 0.0, "audio", *odd) for odd in named]
        db.executemany(f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608
    result = here("history", record)
    assert result.returncode == 0, result.stderr
    assert r"\u001b[2J \u001b[31mlost: \u0007[/red]" in result.stdout
    assert not {"\x1b", "\x07"} & set(result.stdout)
