"""Heartbeats of a session. Without the option, it keeps nothing."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.integrations.heartbeats import Beats, Counting, Heartbeats, recorded
from sensemble_apps.running.view_events import Opened, view_event
from sensemble_apps.tables import heartbeats
from sensemble_apps.tables.heartbeats import Heartbeat, add, parsed
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.writer import RecordWriter
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.durable import lock
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import samples
from sensemble_sensors.supervision.events import Event

from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real

BUNDLE: Any = SimpleNamespace(fingerprint="b" * 64)
EVERY = ("audio", "video")
DAYS = ("2026-11-23.parquet", "2026-11-24.parquet")


def minute(day: int) -> Heartbeat:
    """Return a minute of a day, the first of which is `DAYS[0]`."""
    return Heartbeat(datetime(2026, 11, 23 + day, tzinfo=UTC), "d", "pi", "b", "audio", 60.0)


def kept_seconds(path: Path) -> float:
    return sum(row.seconds for row in parsed(path.read_bytes()))


def prediction(live: tuple[str, ...], confidence: float = 0.9, seconds: float = 0.003) -> Prediction:
    chances = np.array([confidence, 1 - confidence], np.float32)
    return Prediction(
        0.0, live, {}, chances, chances, {"audio": seconds}, {}, labels=("a", "b"), threshold=0.8, doubt=None
    )


def live(*modalities: str) -> Event:
    return Event(0.0, "live", text="+".join(modalities))


def test_answers_are_counted_by_live_set_and_by_the_fault_that_took_a_sensor() -> None:
    beats = Beats("d", "pi", "b" * 64)
    lost = Event(0.0, "lost", "video", "camera 0", "no picture came")
    items = [
        live(*EVERY),
        prediction(EVERY),
        lost,
        live("audio"),
        *[prediction(("audio",), 0.55)] * 3,
        live(*EVERY),
    ]
    began = Event(0.0, "began", label="three", began=0.0)
    for second, item in enumerate([*items, prediction(EVERY), began]):
        beats.note(item, [lost] if 2 <= second < 7 else [], 7200.0 + second, 1.0)
    rows = {row.live: row for row in beats.taken()}
    assert sum(row.seconds for row in rows.values()) == 10
    assert {name: row.moments for name, row in rows.items() if row.moments} == {"audio+video": 1}
    assert {name: (row.answers, row.unsure, dict(row.without)) for name, row in rows.items() if name} == {
        "audio+video": (2, 0, {}),
        "audio": (3, 0, {"video lost": 3}),
    }
    assert Counter[str]() + sum((Counter(row.faults) for row in rows.values()), Counter()) == {
        "video lost": 1
    }
    assert rows["audio"].confidences[5] == 3
    assert rows["audio"].latencies[2] == 3
    assert beats.taken() == []


def test_hours_asleep_are_counted_by_sensor_and_add_up(tmp_path: Path) -> None:
    beats = Beats("d", "pi", "b" * 64)
    items = [live(*EVERY), Event(0.0, "asleep", "video"), live("audio"), Event(0.0, "woken", "video")]
    for number, item in enumerate([*items, prediction(("audio",)), Event(0.0, "asleep", "video")]):
        beats.note(item, [], 7000.0 + 100 * number, 100.0)
    beats.advance(7600.0, 100.0)
    rows = beats.taken()
    assert sum(row.asleep.get("video", 0.0) for row in rows) == pytest.approx(300)
    assert {row.hour.hour for row in rows if row.asleep} == {1, 2}  # split at the hour
    path = tmp_path / "h.parquet"
    heartbeats.write_heartbeats(path, rows)
    assert [row.asleep for row in parsed(path.read_bytes())] == [row.asleep for row in rows]


def test_a_modality_sleeps_while_one_of_its_sensors_does_and_none_works() -> None:
    beats = Beats("d", "pi", "b" * 64)
    front, rear = ("video", "camera 0"), ("video", "camera 1")
    story = [
        ("attached", *front), ("attached", *rear), ("asleep", *front), ("asleep", *rear),
        ("detached", *rear),  # the other sleeps on
        ("attached", "video", "a phone's"), ("unavailable", "video", "a phone's"), ("woken", *front),
    ]  # fmt: skip
    for number, (kind, modality, name) in enumerate(story):
        beats.note(Event(0.0, kind, modality, name), [], 7300.0 + 10 * number, 10.0)
    beats.advance(7400.0, 30.0)
    assert sum(row.asleep.get("video", 0.0) for row in beats.taken()) == pytest.approx(30)


def test_heartbeats_that_begin_late_know_what_is_live_and_what_is_lost(
    bundle_folder: Path, dataset_folder: Path
) -> None:
    bundle, [example, *_] = Bundle.open(bundle_folder), read_dataset(dataset_folder).examples
    session, specs = VirtualSession(bundle, Policy(unfamiliar="pool")), bundle.specs
    first, late = Counting(bundle), Counting(bundle)
    first.show(Opened(0.0, session.view))

    def tell(until: float, *outputs: Counting) -> None:
        for item in session.advance(until):
            for output in outputs:
                output.show(view_event(item, 0.0))

    for modality in EVERY:
        session.plug(modality, modality, 0.0)
    given = [*samples(example, {m: specs[m] for m in EVERY}, 0.0)]
    for sample in given:
        session.give(sample, sample.time)
    end = max(sample.time for sample in given)
    tell(end + 0.1, first)
    session.engine.lose("video", "no picture came", end + 0.1)
    tell(end + 0.1, first)
    late.show(Opened(0.0, session.view))
    first.taken()
    for sample in samples(example, {"audio": specs["audio"]}, end + 0.1):
        session.give(sample, sample.time)
        tell(sample.time, first, late)
    tell(session.view().time + 0.1, first, late)
    rows = [row for row in late.taken() if row.answers]
    assert [(row.live, row.without) for row in rows] == [("audio", {"video lost": rows[0].answers})]
    assert [(row.answers, row.without) for row in first.taken() if row.answers] == [
        (row.answers, row.without) for row in rows
    ]


def test_in_a_record_a_sensor_that_was_detached_is_not_to_blame(bundle_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    ends = [Event(0.0, kind, "video", "camera 0") for kind in ("lost", "detached")]
    with closing(RecordWriter(path)) as writer:
        run = writer.begin("session", Bundle.open(bundle_folder))
        answer = replace(prediction(("audio",)), probabilities=np.array([0.9, 0.1, 0.0], np.float32))
        writer.add_items(run, [live(*EVERY), *ends, live("audio"), answer])
        writer.end(run)
    assert [row.without for row in recorded(path, "d") if row.answers] == [{}]


def test_sessions_of_one_device_share_private_files(tmp_path: Path) -> None:
    folder = tmp_path / "beats"
    for _ in range(2):
        with Heartbeats(str(folder), BUNDLE) as beats:
            for item in (live(*EVERY), prediction(EVERY), prediction(EVERY)):
                beats.add(item)
    files = [*folder.glob("*.parquet")]
    rows = [row for path in files for row in parsed(path.read_bytes())]
    assert sum(row.answers for row in rows) == 4
    assert len({row.device for row in rows}) == len({row.bundle for row in rows}) == 1
    assert len({row.key for row in rows}) == len(rows)
    assert {path.stat().st_mode & 0o777 for path in (*files, folder / ".lock")} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_they_are_written_every_five_minutes(tmp_path: Path) -> None:
    clock, folder = VirtualClock(), tmp_path / "beats"

    def is_written() -> bool:
        clock.advance(300.0)
        return sum(kept_seconds(path) for path in folder.glob("*.parquet")) >= 300

    with Heartbeats(str(folder), BUNDLE, clock) as beats:
        beats.add(live(*EVERY))
        wait_until(is_written)


def test_the_oldest_days_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "DAYS", 2)
    (tmp_path / "2026-11-01.parquet").mkdir()  # cannot be removed like a file, and does no harm
    for day in range(4):
        add(tmp_path, [minute(day)])
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == [
        "2026-11-01.parquet",
        "2026-11-25.parquet",
        "2026-11-26.parquet",
    ]


def test_a_day_that_is_written_is_not_written_again(tmp_path: Path) -> None:
    rows, (first, second) = [minute(0), minute(1)], DAYS
    os.mkfifo(tmp_path / first)
    with pytest.raises(InputError, match=first):
        add(tmp_path, rows)
    assert rows == [minute(0)], "the later day is not held back"
    (tmp_path / first).unlink()
    add(tmp_path, rows)
    assert rows == []
    assert [kept_seconds(tmp_path / day) for day in (first, second)] == [60.0, 60.0]


def test_a_lock_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")  # to open it would wait for ever
    with pytest.raises(InputError, match=r"\.lock: is not a file; move it away"):
        Heartbeats(str(tmp_path), BUNDLE)


def test_a_lock_that_another_process_holds_is_named_and_costs_no_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".lock").touch()
    clock, reported = VirtualClock(), list[str]()
    monkeypatch.setattr("sensemble_apps.integrations.heartbeats.remark", reported.append)

    def is_named() -> bool:
        clock.advance(300.0)
        return bool(reported)

    with lock(tmp_path / ".lock"):
        for _ in range(2):
            with Heartbeats(str(tmp_path), BUNDLE, clock) as beats:
                beats.add(prediction(EVERY))
                wait_until(is_named)
    assert "another process holds it; `fuser " in reported[0]
    assert sum(row.answers for path in tmp_path.glob("*.parquet") for row in parsed(path.read_bytes())) == 2
    monkeypatch.setattr(heartbeats, "DAYS", 1)
    add(tmp_path, [replace(minute(0), hour=datetime(2099, 1, 1, tzinfo=UTC))])
    assert [path.name for path in tmp_path.glob("*.parquet")] == ["2099-01-01.parquet"], "oldest leave"


def test_a_second_signal_loses_no_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()

    def stop(number: int, _: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt(number)

    def write(folder: Path, rows: Sequence[Heartbeat]) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert interrupted.wait(PATIENCE)
        heartbeats.add_apart(folder, rows)

    monkeypatch.setattr("sensemble_apps.integrations.heartbeats.add_apart", write)
    (tmp_path / ".lock").touch()
    before = signal.signal(signal.SIGINT, stop)
    try:
        with (
            lock(tmp_path / ".lock"),
            pytest.raises(KeyboardInterrupt),
            Heartbeats(str(tmp_path), BUNDLE) as beats,
        ):
            beats.add(prediction(EVERY))
    finally:
        signal.signal(signal.SIGINT, before)
    [path] = tmp_path.glob("*.parquet")
    assert sum(row.answers for row in parsed(path.read_bytes())) == 1


@pytest.mark.parametrize("size", [10, 1 << 40])  # the second never fits in memory
def test_a_damaged_day_is_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int) -> None:
    (tmp_path / DAYS[0]).touch()
    os.truncate(tmp_path / DAYS[0], size)
    add(tmp_path, [minute(0), minute(1)])
    assert [kept_seconds(tmp_path / day) for day in DAYS] == [60.0, 60.0]
    assert (tmp_path / f"{DAYS[0]}.damaged").stat().st_size == size
    assert DAYS[0] in capsys.readouterr().err


def test_an_error_of_the_disk_ends_no_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    for day in (now, now + timedelta(days=1)):
        (tmp_path / f"{day.date()}.parquet").symlink_to("/proc/self/mem")  # its start cannot be read: EIO
    with Heartbeats(str(tmp_path), BUNDLE) as beats:
        beats.add(live(*EVERY))
        beats.add(prediction(EVERY))
    assert "Input/output error" in capsys.readouterr().err


WATCHED = """
import os, sys
from sensemble_apps.cli import main
from sensemble_apps.commands import run

def watch(event, arguments):
    if event.startswith("socket."):
        print("KEPT", event)
    elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        print("KEPT", arguments[0])

sys.addaudithook(watch)
sys.exit(main(sys.argv[1:]))
"""


def kept(*arguments: str | Path) -> list[str]:
    """Run the command; return a line for each file that it writes and each socket that it opens."""
    command = [sys.executable, "-B", "-c", WATCHED, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return [line for line in result.stdout.splitlines() if line.startswith("KEPT")]


def test_a_session_keeps_and_sends_nothing_that_nobody_asked_for(
    bundle_folder: Path, dataset_folder: Path, tmp_path: Path
) -> None:
    command = ("run", bundle_folder, "--replay", dataset_folder, "--limit", "2")
    assert kept(*command) == []
    asked = kept(*command, "--output", f"heartbeats={tmp_path / 'beats'}")
    assert asked
    assert all(str(tmp_path / "beats") in one for one in asked)
    files = (tmp_path / "beats").glob("*.parquet")
    assert sum(row.answers for file in files for row in parsed(file.read_bytes())) == 2
