"""The bounds of a record, and who may read one."""

import stat
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import RecordError
from sensemble_runtime.record.reader import read_answers, read_events, read_predictions, read_runs
from sensemble_runtime.record.retention import TRIMMED, Retention
from sensemble_runtime.record.writer import RecordedAnswer, RecordWriter
from sensemble_runtime.session.session import Session
from sensemble_sensors.supervision.events import Event

from tests.runtime.puppets import Puppet
from tests.runtime.record.test_background import prediction

DAY = 86400.0


def trim(records: RecordWriter, retention: Retention, run: int) -> int:
    """Trim until there is no more to remove; return in how many commits."""
    commits = 1
    while records.trim(retention, run):
        commits += 1
    return commits


@pytest.mark.usefixtures("umask")
def test_a_record_is_its_users_alone(bundle: Bundle, tmp_path: Path) -> None:
    with RecordWriter(tmp_path / "record.sqlite") as records:
        run = records.begin("session", bundle)
        records.add_items(run, [prediction(1.0)])
        made = sorted(tmp_path.iterdir())
        assert [path.name for path in made] == ["record.sqlite", "record.sqlite-shm", "record.sqlite-wal"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


def test_a_record_whose_name_sqlite_takes_for_none_is_a_file(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with RecordWriter(Path(":memory:")) as records:
        records.begin("session", bundle)
    assert len(read_runs(tmp_path / ":memory:")) == 1


def test_what_is_too_old_goes_with_its_run_and_the_record_says_so(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    now = time.monotonic()
    with RecordWriter(path) as records:
        old = records.begin("session", bundle)
        records.add_items(old, [prediction(now - 40 * DAY), Event(now - 40 * DAY, "live", text="audio")])
        audit = records.begin("audit", bundle, "digits", "eval")
        answer = RecordedAnswer("a", 7, ("two",), "audio", "one", np.zeros(3, np.float32), 0.5, "several")
        records.add_answers(audit, [answer])
        run = records.begin("session", bundle)
        items = [prediction(now - days * DAY) for days in (31, 29, 1)]
        lives = [
            Event(now - days * DAY, "live", text=live) for days, live in ((33, ""), (32, "audio"), (2, ""))
        ]
        lost = Event(now - 31 * DAY, "lost", "audio", "desk", "desk: gives no more sound")
        records.add_items(run, [*items, *lives, lost])
        assert trim(records, Retention(seconds=30 * DAY), run) == 1
        assert trim(records, Retention(seconds=30 * DAY), run) == 1
    assert [found.id for found in read_runs(path)] == [audit, run]
    assert len(read_answers(path, audit)) == 1
    assert [round((now - p.time) / DAY) for p in read_predictions(path, run)] == [29, 1]
    events = [(round((now - e.time) / DAY), e.kind, e.text) for e in read_events(path, run)]
    assert events == [
        (31, TRIMMED, "what was recorded before is removed"),
        (31, "live", "audio"),
        (2, "live", ""),
    ], "what was live then is still known"
    assert b"gives no more sound" not in path.read_bytes(), "what is removed is gone"


TODAY, MONTH = time.time(), Retention(seconds=30 * DAY)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: seconds)


def session_of(records: RecordWriter, bundle: Bundle, *days: float) -> int:
    """Record a session with a prediction so many days ago, each."""
    run = records.begin("session", bundle)
    records.add_items(run, [prediction(time.monotonic() - age * DAY) for age in days])
    return run


def test_a_clock_that_jumps_from_1970_to_today_costs_nothing(
    bundle: Bundle, tmp_path: Path, set_clock: Callable[[float], None]
) -> None:
    path = tmp_path / "record.sqlite"
    with RecordWriter(path) as records:
        before = session_of(records, bundle, 29, 20)
        set_clock(60.0)
        booted = session_of(records, bundle, 30 / DAY)
        records.end(booted)
        run = session_of(records, bundle, 20 / DAY)
        assert trim(records, MONTH, run) == 1
        assert len(read_predictions(path, before)) == 2
        set_clock(TODAY)
        assert trim(records, MONTH, run) == 1, "though what is written next would have the new time"
        records.add_items(run, [prediction(time.monotonic())])
    first, second = (p.at for p in read_predictions(path, run))
    assert 19 < second - first < DAY, "the jump is no pause"
    assert len(read_predictions(path, booted)) == 1
    assert [round((TODAY - p.at) / DAY) for p in read_predictions(path, before)] == [29, 20]


def test_a_clock_of_2037_that_is_corrected_costs_nothing(
    bundle: Bundle, tmp_path: Path, set_clock: Callable[[float], None]
) -> None:
    """It removed all earlier sessions, which seemed eleven years old."""
    path = tmp_path / "record.sqlite"
    with RecordWriter(path) as records:
        before = session_of(records, bundle, 29, 20)
        set_clock(TODAY + 11 * 365 * DAY)
        run = session_of(records, bundle, 0)
        trim(records, MONTH, run)
        set_clock(TODAY)
        trim(records, MONTH, run)
    assert [len(read_predictions(path, one)) for one in (before, run)] == [2, 1]


def test_what_a_clock_of_2037_recorded_goes_once_it_was_there_for_as_long(
    bundle: Bundle, tmp_path: Path, set_clock: Callable[[float], None]
) -> None:
    path = tmp_path / "record.sqlite"
    with RecordWriter(path) as records:
        set_clock(TODAY + 11 * 365 * DAY)
        wrong = session_of(records, bundle, 30 / DAY, 20 / DAY)
        for days in (0, 29, 31):
            set_clock(TODAY + days * DAY)
            trim(records, MONTH, session_of(records, bundle, 0))
            assert len(read_predictions(path, wrong)) == (2 if days < 30 else 0)
    assert wrong not in [one.id for one in read_runs(path)]


def test_a_record_stops_growing_at_its_size(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    bounds = Retention(bytes=1e6)
    sizes = []
    with RecordWriter(path) as records:
        run = records.begin("session", bundle)
        for i in range(30):
            records.add_items(run, [prediction(1000.0 * i + j) for j in range(500)])
            trim(records, bounds, run)
            sizes.append(path.stat().st_size)
    assert sizes[5] < 1e6
    assert max(sizes) < 1.3e6, "that of 15 000 predictions is 2.5 MB"
    times = [p.time for p in read_predictions(path, run)]
    assert times[-1] == 29_499
    assert len(times) > 3000, "no more is removed than need be"
    assert times == sorted(times)
    marks = [event for event in read_events(path, run) if event.kind == TRIMMED]
    assert [mark.time < times[0] for mark in marks] == [True]


def test_a_session_trims_what_earlier_ones_recorded(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    with RecordWriter(path) as records:
        old = session_of(records, bundle, 2)
        records.end(old)
    with Session(bundle, record=path, retention=Retention(seconds=DAY)) as session:
        puppet = Puppet("text")
        session.attach(puppet)
        puppet.say()
        assert next(iter(session)).live == ("text",)
    (run,) = read_runs(path)
    assert run.id > old
    assert len(read_predictions(path, run.id)) == 1


def test_bounds_are_written_as_times_and_sizes() -> None:
    assert Retention.parse("30d") == Retention(30 * DAY, 1e9)
    assert Retention.parse("12h, 2GB") == Retention(DAY / 2, 2e9)
    assert Retention.parse("1.5MB") == Retention(None, 1.5e6)
    wrong = "30|d|-1d|0d|nand|1e9d|30d,1h|1MB,2GB|0.1MB|30 d|30d,|1KB|"
    for text in wrong.split("|"):
        with pytest.raises(RecordError, match="12h, 30d, 2GB or 30d,2GB"):
            Retention.parse(text)
