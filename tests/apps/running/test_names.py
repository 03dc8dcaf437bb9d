"""Names, reasons and labels that are not UTF-8 or hold escape sequences: kept, shown, and harmless."""

import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
from sensemble_apps.console.output import remark, say
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.record.reader import read_events, read_runs
from sensemble_runtime.session.session import Session
from sensemble_sensors.errors import SensorUnavailableError, printable
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import Event

from tests.apps.conftest import Sensemble

ODD = "caf\udce9\x1b[31m\x9b2J\u202e"  # as a file's name may be
SHOWN = r"caf\udce9\u001b[31m\u009b2J\u202e"


class Odd:
    """A sensor with an odd name, which fails for an odd reason."""

    modality, name, live = "text", ODD, True

    def open(self, spec: InputSpec) -> None:
        raise SensorUnavailableError(f"{self.name}: {ODD}\n{spec.modality}")

    def read(self, timeout: float) -> Sample | None:
        raise NotImplementedError

    def close(self) -> None: ...


def test_a_sensors_odd_name_and_reason_are_recorded(bundle_folder: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.sqlite"
    with Session(Bundle.open(bundle_folder), record=record, lasting=True) as session:
        assert session.attach(Odd()) == SHOWN
        event = next(item for item in session.stream() if isinstance(item, Event))
    assert (event.sensor, event.text) == (SHOWN, f"{SHOWN}: {SHOWN} text")
    (run,) = read_runs(record)
    assert event.text in [one.text for one in read_events(record, run.id)]


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
        columns = [row[1] for row in db.execute("PRAGMA table_info(events)")]
        odd = {"run": 1, "at": monotonic(), "time": 0.0, "modality": "audio", "kind": "live", "reason": "[/]"}
        for values in odd, {**odd, "name": "\x1b[2J", "kind": "\x1b[31mlost", "reason": "\x07[/red]"}:
            row = [values.get(column, "") for column in columns]
            db.execute(f"INSERT INTO events VALUES ({','.join('?' * len(row))})", row)  # noqa: S608
    result = here("history", record)
    assert result.returncode == 0, result.stderr
    assert r"\u001b[2J \u001b[31mlost: \u0007[/red]" in result.stdout
    assert not {"\x1b", "\x07"} & set(result.stdout)


def test_what_is_printed_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"first\n{ODD}")
    remark(ODD)
    assert capsys.readouterr() == (f"first\n{SHOWN}\n", f"{SHOWN}\n")
    for text in "caf\xe9 \U0001f469\u200d\U0001f4bb\t\u05d0", "", "a b":
        assert printable(text) == text
